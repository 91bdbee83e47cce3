/** The columns of the matrix: what breaks, as the caller sees it, and how it is mended. */
import type { SessionManager } from 'latchkey'
import type { Fault, FaultProxy } from '../support/proxy.js'
import type { ServerProcess } from '../support/server-process.js'
import type { Struck, Trouble } from './cell.js'
import { expected } from './expectations.js'
import type { Rig } from './rig.js'

/** What is struck: a server, and the proxy before it. */
export interface Victim {
  readonly proxy: FaultProxy
  readonly server: ServerProcess
  readonly flightMs: number
  readonly manager: SessionManager
  readonly stranger: string
}

export interface FaultKind extends Omit<Trouble<Rig>, 'strike'> {
  strike(victim: Victim): Promise<Struck>
  /** What the caller of the broken exchange sees: its answer all the same, the connection's end, or nothing. */
  readonly seen: 'answer' | 'end' | 'silence'
  /** Nothing is answered before it is mended; otherwise the very next exchange is whole. */
  readonly lasts: boolean
  /** It strikes the server itself, which the cell therefore has to itself. */
  readonly ownServer: boolean
}

/** In flights' deadlines: past the call's own deadline, and in time for its second try. */
const LATE = 3.5
const LATE_FLIGHT = 1.5

type Traits = Partial<Pick<FaultKind, 'lasts' | 'zombieFlights' | 'ownServer' | 'empties'>>

const traits = (given: Traits): Required<Traits> & Pick<FaultKind, 'expected'> => ({
  expected(this: FaultKind, hook) {
    return expected(hook, this)
  },
  lasts: false,
  zombieFlights: 0,
  ownServer: false,
  empties: 'no',
  ...given,
})

/** One exchange on its way through the proxy. */
const passing = (
  name: string,
  seen: FaultKind['seen'],
  what: Fault | ((victim: Victim) => Fault),
  given: Traits = {},
): FaultKind => ({
  name,
  seen,
  ...traits(given),
  async strike(victim): Promise<Struck> {
    const { proxy, manager, stranger } = victim
    const before = proxy.counts.faults
    const fault = typeof what === 'function' ? what(victim) : what
    // What a confused proxy would hand out next is then another session's record.
    if (fault === 'foreignReply') await manager.peek(stranger)
    if (given.lasts === true) proxy.always(fault)
    else void proxy.next(fault)
    return {
      happened: () => proxy.counts.faults > before,
      heal: async () => {
        proxy.clear()
      },
    }
  },
})

const lateRequest = (name: string, flights: number): FaultKind =>
  passing(name, 'silence', ({ flightMs }) => ({ delayRequestMs: flightMs * flights }), { zombieFlights: flights })

/** The server dies of the next request, or of its answer; `again` at once, or when it is mended. */
const killing = (name: string, when: 'onRequest' | 'onReply', again: boolean): FaultKind => ({
  name,
  seen: 'end',
  ...traits({ ownServer: true, lasts: !again, empties: 'in flight' }),
  async strike({ proxy, server }) {
    let done: Promise<void> | undefined
    proxy[when] = () => {
      done ??= again ? server.restart() : server.kill()
      return undefined
    }
    return {
      happened: () => done !== undefined,
      heal: async () => {
        proxy[when] = undefined
        await done
        if (!server.running) await server.restart()
      },
    }
  },
})

const restarted: FaultKind = {
  name: 'server restarted before',
  seen: 'end',
  ...traits({ ownServer: true, empties: 'before' }),
  async strike({ server }) {
    await server.restart()
    return { happened: () => true, heal: () => Promise.resolve() }
  },
}

const stopped: FaultKind = {
  name: 'server stopped, continued',
  seen: 'silence',
  // What was sent meanwhile is carried out when it goes on.
  ...traits({ ownServer: true, lasts: true, zombieFlights: 0.5 }),
  async strike({ server }) {
    await server.pause()
    return {
      happened: () => true,
      heal: async () => {
        server.resume()
      },
    }
  },
}

export const FAULTS: readonly FaultKind[] = [
  passing('reply late, in time', 'answer', { delayReplyMs: 40 }),
  passing('reply byte by byte', 'answer', 'trickle'),
  passing('reply twice', 'answer', 'replyTwice'),
  passing('reply past the deadline', 'silence', ({ flightMs }) => ({ delayReplyMs: flightMs * LATE })),
  lateRequest('request past its flight', LATE_FLIGHT),
  lateRequest('request past the deadline', LATE),
  passing('reply dropped', 'silence', 'dropReply'),
  passing('black hole, one connection', 'silence', 'blackHole'),
  passing('black hole, all', 'silence', 'blackHole', { lasts: true }),
  passing('FIN before', 'end', 'finBefore'),
  passing('FIN after', 'end', 'fin'),
  passing('RST before', 'end', 'rstBefore'),
  passing('RST after', 'end', 'rst'),
  passing('RST after, every time', 'end', 'rst', { lasts: true }),
  passing('half a reply', 'end', 'halfReply'),
  passing('garbage', 'end', 'garbage'),
  passing("another request's reply", 'end', 'foreignReply'),
  killing('server killed by the request', 'onRequest', false),
  killing('server killed by the reply', 'onReply', false),
  killing('server restarted in flight', 'onRequest', true),
  restarted,
  stopped,
]

/** The ones that `npm test` plays: carried out and not, noticed at once, in time, and never. */
export const QUICK_FAULTS: readonly FaultKind[] = FAULTS.filter(({ name }) =>
  ['reply dropped', 'FIN before', 'RST after', 'black hole, all'].includes(name),
)
