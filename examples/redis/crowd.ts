import { setTimeout as sleep } from 'node:timers/promises'

/** Between two clicks of one visitor, in the mean. */
const THINK_MS = 250
/** How often a visitor who sees no cart looks again. */
const LOOKS = 20
const LOOK_AGAIN_MS = 250

/** Everybody's clicks, and what became of them. */
export class Crowd {
  acknowledged = 0
  /** Answered with an error: it was not stored, or nobody knows. */
  refused = 0
  longestGapMs = 0
  private lastMs = performance.now()
  private clicks = 0
  private isOver = false
  private readonly visitors: readonly Visitor[]

  constructor(origin: string, users: number, private readonly signal: AbortSignal) {
    this.visitors = Array.from({ length: users }, () => new Visitor(origin, signal))
  }

  /** Things that were acknowledged, and were not in the cart when it was looked at last. */
  get lost(): number {
    return this.visitors.reduce((sum, visitor) => sum + visitor.lost, 0)
  }

  /** Clicks until `meanwhile` is over, and looks into every cart then. */
  async during(meanwhile: () => Promise<void>): Promise<void> {
    this.lastMs = performance.now()
    const clicking = this.visitors.map((visitor) => this.click(visitor))
    try {
      await meanwhile()
    } finally {
      this.isOver = true
      await Promise.allSettled(clicking)
    }
    await Promise.all(this.visitors.map((visitor) => visitor.look()))
  }

  private async click(visitor: Visitor): Promise<void> {
    while (!this.isOver && !this.signal.aborted) {
      await sleep(THINK_MS * (0.5 + Math.random()))
      if (await visitor.put(++this.clicks)) {
        const nowMs = performance.now()
        this.longestGapMs = Math.max(this.longestGapMs, nowMs - this.lastMs)
        this.lastMs = nowMs
        this.acknowledged++
      } else {
        this.refused++
      }
    }
  }
}

/** One browser, with one cookie, which clicks once at a time. */
class Visitor {
  lost = 0
  private cookie = ''
  private readonly bought = new Set<number>()

  constructor(
    private readonly origin: string,
    private readonly signal: AbortSignal,
  ) {}

  /** Whether the shop has said that the thing is in the cart. */
  async put(thing: number): Promise<boolean> {
    const cart = await this.ask('POST', `/cart/${String(thing)}`)
    if (cart === undefined) return false
    this.bought.add(thing)
    this.compare(cart)
    return true
  }

  async look(): Promise<void> {
    if (this.cookie === '') return
    let cart = await this.ask('GET', '/cart')
    // The shop may say "503, ask again" for a moment.
    for (let left = LOOKS; cart === undefined && left > 0; left--) {
      await sleep(LOOK_AGAIN_MS, undefined, { signal: this.signal })
      cart = await this.ask('GET', '/cart')
    }
    // A cart that cannot be seen has nothing in it that counts.
    this.compare(cart ?? [])
  }

  private compare(cart: readonly number[]): void {
    const there = new Set(cart)
    this.lost = [...this.bought].filter((thing) => !there.has(thing)).length
  }

  /** Undefined: it was not answered, or with an error. */
  private async ask(method: 'GET' | 'POST', path: string): Promise<readonly number[] | undefined> {
    try {
      const headers = this.cookie === '' ? {} : { cookie: this.cookie }
      const response = await fetch(this.origin + path, { method, headers, signal: this.signal })
      const text = await response.text()
      if (response.status !== 200) return undefined
      const [set] = response.headers.getSetCookie()
      if (set !== undefined) this.cookie = set.replace(/;.*$/, '')
      return JSON.parse(text) as readonly number[]
    } catch {
      return undefined
    }
  }
}
