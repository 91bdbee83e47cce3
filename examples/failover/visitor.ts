import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

/** What all visitors of a scene have met. */
export interface Tally {
  /** Clicks that were answered with the basket they had filled. */
  acknowledged: number
  /** Acknowledged things that were not in the basket any more when it was seen next. */
  lost: number
  /** Visitors who were strangers to the shop at a click. */
  loggedOut: number
  /** Clicks that were answered with an error. */
  refused: number
  /** The longest time in which no click of anybody was acknowledged. */
  longestGapMs: number
}

interface Answer {
  readonly status: number
  /** `name=value`, where the shop has set one. */
  readonly cookie: string | undefined
  readonly body: string
}

/** How often a visitor who is told to come again does so. */
const LOGINS = 20
const LOGIN_AGAIN_MS = 500
const ITEMS = ['pen', 'ink', 'paper'] as const

/** The shop as its visitors see it. */
export class Street {
  readonly tally: Tally = { acknowledged: 0, lost: 0, loggedOut: 0, refused: 0, longestGapMs: 0 }
  private readonly agent = new Agent({ keepAlive: true })
  private lastMs = performance.now()

  constructor(private readonly port: number) {}

  /** From here on gaps count. */
  open(): void {
    this.lastMs = performance.now()
  }

  noteAcknowledged(): void {
    const nowMs = performance.now()
    this.tally.acknowledged++
    this.tally.longestGapMs = Math.max(this.tally.longestGapMs, nowMs - this.lastMs)
    this.lastMs = nowMs
  }

  /** Status 0: the connection was cut. */
  ask(method: 'GET' | 'POST', path: string, cookie: string | undefined): Promise<Answer> {
    return new Promise((resolve) => {
      const headers = cookie === undefined ? {} : { cookie }
      const asked = request({ host: '127.0.0.1', port: this.port, method, path, headers, agent: this.agent }, (response) => {
        let body = ''
        response.setEncoding('utf8').on('data', (text: string) => (body += text))
        response.on('end', () => {
          const [set] = response.headers['set-cookie'] ?? []
          resolve({ status: response.statusCode ?? 0, cookie: set?.replace(/;.*$/, ''), body })
        })
        response.on('error', () => resolve(NO_ANSWER))
      })
      asked.on('error', () => resolve(NO_ANSWER)).end()
    })
  }

  close(): void {
    this.agent.destroy()
  }
}

const NO_ANSWER: Answer = { status: 0, cookie: undefined, body: '' }

/** One visitor with a basket: what is in it is what was acknowledged, or the shop has lost something. */
export class Visitor {
  private cookie: string | undefined
  /** How many things are in the basket, as far as the visitor was told. */
  private known = 0

  constructor(
    private readonly street: Street,
    private readonly name: string,
  ) {}

  /** @throws when the shop does not know the visitor afterwards. */
  async logIn(): Promise<void> {
    const ask = (): Promise<Answer> => this.street.ask('POST', `/login/${this.name}`, undefined)
    let answer = await ask()
    // The shop says "503, ask again" where a server is late.
    for (let left = LOGINS; answer.status === 503 && left > 0; left--) {
      await sleep(LOGIN_AGAIN_MS)
      answer = await ask()
    }
    const { status, cookie, body } = answer
    if (status !== 200 || cookie === undefined) throw new Error(`${this.name} could not log in: ${String(status)} ${body}`)
    this.cookie = cookie
  }

  async click(): Promise<void> {
    const { street, known, cookie } = this
    const { tally } = street
    const item = ITEMS[Math.floor(Math.random() * ITEMS.length)] ?? ITEMS[0]
    const answer = await street.ask('POST', `/basket/${item}`, cookie)
    if (answer.status !== 200) {
      tally.refused++
      return
    }
    street.noteAcknowledged()
    const count = sumOf(JSON.parse(answer.body))
    // The cookie of the same session comes again with every change, for its new lifetime.
    if (answer.cookie !== undefined && answer.cookie !== cookie) this.beginAnew(answer.cookie, cookie, count)
    else if (cookie === this.cookie) {
      tally.lost += Math.max(0, known + 1 - count)
      this.known = Math.max(count, this.known)
    }
  }

  /** Looks into the basket when all is over. False: the shop did not answer. */
  async look(): Promise<boolean> {
    const { status, body } = await this.street.ask('GET', '/basket', this.cookie)
    if (status !== 200) return false
    const { customer, basket }: { customer?: string; basket: Basket } = JSON.parse(body)
    const count = sumOf(basket)
    if (customer === undefined && count === 0 && this.known > 0) this.street.tally.loggedOut++
    else this.street.tally.lost += Math.max(0, this.known - count)
    return true
  }

  /** The shop has given another session: the old one is not there any more. Of several clicks at once the first one counts. */
  private beginAnew(cookie: string, sent: string | undefined, count: number): void {
    if (sent !== this.cookie) return
    this.street.tally.loggedOut++
    this.cookie = cookie
    this.known = count
  }
}

type Basket = Readonly<Record<string, number>>

const sumOf = (basket: Basket): number => Object.values(basket).reduce((sum, count) => sum + count, 0)
