export class RefusedError extends Error {}

export type Side = 'php' | 'node'

/** What a page shows: who made it, for whom, and what is in the cart. */
interface Page {
  readonly by: Side
  readonly user: string | null
  readonly items: Readonly<Record<string, number>>
}

export interface Result {
  /** `--json` prints these, and nothing else. */
  readonly figures: {
    readonly expected: number
    readonly kept: number
    readonly phpServed: number
    readonly nodeServed: number
  }
  /** Of the visitors: how many had the same name on both sides, and how many were nobody on either after the logout. */
  readonly known: number
  readonly loggedOut: number
  readonly visitors: number
}

export const isComplete = ({ figures, known, loggedOut, visitors }: Result): boolean => {
  const { expected, kept, phpServed, nodeServed } = figures
  return kept === expected && known === visitors && loggedOut === visitors && phpServed > 0 && nodeServed > 0
}

const other = (side: Side): Side => (side === 'php' ? 'node' : 'php')

const VISITORS = 4
const ITEMS_AT_ONCE = 24

/** Visitors log in on one side, fill their cart on both at once, and log out on the other. */
export async function play(origin: string, signal: AbortSignal, tell: (line: string) => void): Promise<Result> {
  const served = { php: 0, node: 0 }
  let [kept, known, loggedOut] = [0, 0, 0]
  for (let number = 0; number < VISITORS; number++) {
    const name = `visitor${String(number + 1)}`
    const home: Side = number % 2 === 0 ? 'php' : 'node'
    const browser = new Browser(origin, signal)
    const ask = async (side: Side, method: 'GET' | 'POST', what: string): Promise<Page> => {
      const page = await browser.ask(method, `/${side}/${what}`)
      served[page.by]++
      return page
    }
    await ask(home, 'POST', `login/${name}`)
    const sides = Array.from({ length: ITEMS_AT_ONCE }, (_, at): Side => (at % 2 === 0 ? 'php' : 'node'))
    await Promise.all(sides.map((side, at) => ask(side, 'POST', `add/item${String(at % 5)}`)))
    const pages = [await ask('php', 'GET', 'show'), await ask('node', 'GET', 'show')]
    const counts = pages.map(({ items }) => Object.values(items).reduce((sum, count) => sum + count, 0))
    kept += Math.min(...counts)
    if (pages.every(({ user }) => user === name)) known++
    await ask(other(home), 'POST', 'logout')
    const after = [await ask('php', 'GET', 'show'), await ask('node', 'GET', 'show')]
    if (after.every(({ user, items }) => user === null && Object.keys(items).length === 0)) loggedOut++
    tell(`${name}: in by ${home}, ${String(counts[0])} of ${String(ITEMS_AT_ONCE)} in the cart for PHP, ${String(counts[1])} for Node, out by ${other(home)}`)
  }
  return {
    figures: { expected: VISITORS * ITEMS_AT_ONCE, kept, phpServed: served.php, nodeServed: served.node },
    known,
    loggedOut,
    visitors: VISITORS,
  }
}

/** One cookie for one origin, whoever sets it. */
class Browser {
  private cookie: string | undefined

  constructor(
    private readonly origin: string,
    private readonly signal: AbortSignal,
  ) {}

  async ask(method: 'GET' | 'POST', path: string): Promise<Page> {
    const headers = this.cookie === undefined ? {} : { cookie: this.cookie }
    const response = await fetch(this.origin + path, { method, headers, signal: this.signal })
    const text = await response.text()
    if (response.status !== 200) throw new RefusedError(`${path} was answered ${String(response.status)}: ${text.slice(0, 300)}`)
    const [set] = response.headers.getSetCookie().filter((each) => each.startsWith('PHPSESSID=')).slice(-1)
    if (set !== undefined) this.cookie = set.replace(/;.*$/, '')
    return pageIn(text, path)
  }
}

function pageIn(text: string, path: string): Page {
  try {
    return JSON.parse(text) as Page
  } catch {
    throw new RefusedError(`${path} was answered with something else than JSON: ${text.slice(0, 300)}`)
  }
}
