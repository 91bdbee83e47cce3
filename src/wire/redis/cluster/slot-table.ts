/** Which primary serves which slots, as a node says (`CLUSTER SLOTS`). */
import { ProtocolError } from '../../socket/codec.js'
import { shown } from '../../socket/server-errors.js'
import { isError, isList, type PlainReply } from '../resp.js'
import { hostOf, type Place } from './redirect.js'
import { SLOTS } from './slot.js'

/** From the first to the last, both included. */
export interface SlotRange {
  readonly from: number
  readonly to: number
  readonly primary: Place
}

/** Redis's own limit of a cluster, whose table may be cut into as many pieces as there are slots. */
const MOST_PRIMARIES = 1000

/** @throws ProtocolError: it is no table. */
export function slotRangesIn(reply: PlainReply): readonly SlotRange[] {
  if (isError(reply)) throw new ProtocolError(`it refuses CLUSTER SLOTS, which the user of the save path must be allowed (${shown(reply.error)})`)
  if (!isList(reply)) throw noTable()
  const ranges = reply.map(rangeIn)
  if (new Set(ranges.map(({ primary }) => `${primary.host}:${primary.port}`)).size > MOST_PRIMARIES) throw noTable()
  return ranges
}

function rangeIn(row: PlainReply): SlotRange {
  const [from, to, node] = isList(row) ? row : []
  const [host, port] = isList(node) ? node : []
  const named = hostOf(typeof host === 'string' ? host : '')
  if (!isSlot(from) || !isSlot(to) || from > to || !isPort(port) || named === undefined) throw noTable()
  return { from, to, primary: { host: named, port } }
}

const isSlot = (value: unknown): value is number => Number.isInteger(value) && Number(value) >= 0 && Number(value) < SLOTS
const isPort = (value: unknown): value is number => Number.isInteger(value) && Number(value) > 0 && Number(value) <= 65_535
const noTable = (): ProtocolError => new ProtocolError('an answer to CLUSTER SLOTS that is none')
