/** The wire over a client of the application's: slower than our own codec, and no second connection to configure. */
import { defaultDirectory } from '../../../neighbours/door-directory.js'
import type { Clock } from '../../../system/clock.js'
import { systemRandom } from '../../../system/random.js'
import { NotSupportedError } from '../../../errors.js'
import { type Leg, legsOf, sendLegs } from '../../legs.js'
import { problemIn } from '../../socket/framing.js'
import { inTime } from '../../socket/in-time.js'
import { hasChanged, partlyRefused, refused, unclear } from '../../socket/server-errors.js'
import { type Command, failLater, FlightError, promised, type Receiver, type Reply, type Wire } from '../../wire.js'
import { slotOf } from '../cluster/slot.js'
import { VERSION, Versions } from '../item.js'
import { endsConnection, isNoScript, isRefusal } from '../refusals.js'
import { walk } from '../scan.js'
import type { PlainReply } from '../resp.js'
import { largestValueBytes, REDIS, REDIS_CLUSTER } from '../traits.js'
import { FLIGHT_SCRIPT, FLIGHT_SHA, type FlightCall, flightCall, isReply, outcomesOf } from './flight-script.js'
import { plainError } from './plain-error.js'
import type { RedisCaller } from './redis-caller.js'

export interface ClientWireOptions {
  readonly caller: RedisCaller
  readonly clock: Clock
  /** The deadline of one flight, connecting included, in milliseconds. */
  readonly flightMs: number
}

export function createClientWire({ caller, clock, flightMs }: ClientWireOptions): Wire {
  const versions = new Versions(systemRandom)
  let closing: Promise<void> | undefined

  function send(_route: string, commands: readonly Command[], receiver: Receiver): void {
    const problem = closing === undefined ? problemIn(commands, VERSION) : 'The connection is closed.'
    const fly = (leg: Leg, told: Receiver): void => {
      flown(leg.commands).then((replies) => told.landed(replies), (error: unknown) => told.failed(error))
    }
    if (problem !== undefined) failLater(receiver, new FlightError('not-sent', problem))
    else sendLegs(legsOf(commands, caller.isCluster ? slotOf : () => 0), fly, receiver)
  }

  async function flown(commands: readonly Command[]): Promise<Reply[]> {
    const call = flightCall(commands, versions)
    const answer = await called(async (signal) => {
      try {
        return await caller.call(wordsOf(call, true), call.keys[0], signal)
      } catch (error) {
        const failure = caller.failureOf(error)
        if (failure.outcome !== 'answered' || !isNoScript(failure.answer) || signal.aborted) throw error
        return caller.call(wordsOf(call, false), call.keys[0], signal)
      }
    })
    try {
      return repliesOf(commands, outcomesOf(commands, call, answer))
    } catch (error) {
      if (error instanceof FlightError) throw error
      // The next answers may be those of others as well.
      caller.leave()
      throw new FlightError('unknown', `${caller.library} gave an answer that is none to this call.`, { cause: error })
    }
  }

  /** @throws {FlightError} */
  async function called<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    let isHandedOver = false
    const whyLate = (): FlightError =>
      isHandedOver ? new FlightError('unknown', `No answer by ${caller.library} in time.`) : new FlightError('not-sent', `${caller.library} has no connection.`)
    try {
      return await inTime({ clock, limitMs: flightMs, whyLate }, async (late) => {
        await connected(late)
        isHandedOver = true
        return work(late)
      })
    } catch (error) {
      throw error instanceof FlightError ? error : failed(error, isHandedOver)
    }
  }

  async function connected(signal: AbortSignal): Promise<void> {
    await caller.ready()
    // Its flight has failed as one that was not sent.
    signal.throwIfAborted()
  }

  function failed(error: unknown, isHandedOver: boolean): FlightError {
    const cause = plainError(error)
    const failure = isHandedOver ? caller.failureOf(error) : { outcome: 'not-sent' as const }
    if (failure.outcome !== 'answered') return new FlightError(failure.outcome, `${caller.library}: ${cause.message}`, { cause })
    const { answer } = failure
    if (endsConnection(answer)) caller.leave()
    return isRefusal(answer) ? refused(answer, cause) : unclear(answer, cause)
  }

  const ask = (...words: readonly (string | number)[]): Promise<PlainReply> =>
    called(async (signal) => plain(await caller.call(words.map(String), undefined, signal)))

  return {
    flight: (route, commands) => promised((told) => send(route, commands, told)),
    send,
    maxValueBytes: (_route, key) => largestValueBytes(key),
    keys: (prefix) => {
      if (!caller.isCluster && !caller.hasPrefix) return walk(ask, caller.library, prefix)
      throw new NotSupportedError("Keys are not listed through a client to a cluster, nor through one with a keyPrefix: name the servers in savePath ('redis://...').")
    },
    // Redis expires its items by itself.
    sweep: () => 0,
    close: () => (closing ??= caller.close()),
    store: caller.isCluster ? REDIS_CLUSTER : REDIS,
    meetingPlace: defaultDirectory(),
  }
}

const wordsOf = ({ keys, args }: FlightCall, isKnown: boolean) => [
  ...(isKnown ? ['EVALSHA', FLIGHT_SHA] : ['EVAL', FLIGHT_SCRIPT]),
  String(keys.length),
  ...keys,
  ...args,
]

/** @throws {FlightError} some command has no reply. */
function repliesOf(commands: readonly Command[], outcomes: ReturnType<typeof outcomesOf>): Reply[] {
  const replies = outcomes.filter(isReply)
  if (replies.length === outcomes.length) return replies
  const shortfalls = outcomes.filter((one) => !isReply(one))
  if (shortfalls.some((one) => !isReply(one) && one.kind === 'twice')) {
    throw new FlightError('unknown', 'The client has sent it a second time by itself: what the first time came to was not seen.')
  }
  const [text = ''] = shortfalls.flatMap((one) => (!isReply(one) && one.kind === 'error' ? one.text : []))
  if (hasChanged(commands, outcomes.map((one) => (isReply(one) ? one : undefined)))) throw partlyRefused(text)
  throw isRefusal(text) ? refused(text) : unclear(text)
}

function plain(reply: unknown): PlainReply {
  if (Array.isArray(reply)) return reply.map(plain)
  if (Buffer.isBuffer(reply)) return reply.toString('utf8')
  return typeof reply === 'string' || typeof reply === 'number' ? reply : null
}
