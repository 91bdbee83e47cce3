import { UndecodableError } from '../../errors.js'
import { plainText } from '../../system/plain-text.js'
import { bytes, duration } from '../../system/format.js'
import { nameOf, type Place } from '../place.js'
import { AGAIN, Bytes, phpView } from '../php-view.js'
import { leftSecOf } from '../records.js'
import { EXIT, type Report } from '../report.js'

const RETIRED = '; a copy that is only read, of a session that went on under another id'

/** `latchkey inspect <id>`: what is stored. One flight, and a question on a connection of its own for the TTL. */
export async function inspect(place: Place, id: string, showsValues: boolean): Promise<Report> {
  const { wire, layout, manager, format } = place
  const keys = layout.keysOf(id)
  const [record, lock] = await wire.flight(id, [
    { op: 'get', key: keys.record },
    { op: 'get', key: keys.lock },
  ])
  const session = nameOf(id)
  const server = place.store.nodeOf(id).name
  const sizeBytes = record?.value?.length
  const { text, isRetired } = format.unpack(id, record?.value)
  // A session of PHP's may have no bytes.
  if (sizeBytes === undefined || text === '') {
    const state = sizeBytes === undefined ? 'missing' : 'destroyed'
    const line = `Session ${session} on ${server} ${state === 'missing' ? 'is not there' : 'was destroyed'}.`
    return { exitCode: EXIT.problem, data: { session, server, state }, lines: [line] }
  }
  const isLocked = lock?.value !== undefined
  const ttlSec = await leftSecOf(place, id)
  const data = manager.php === undefined ? manager.decode(id, text) : phpView(manager.decode(id, text))
  const content = linesOf(data, showsValues)
  const shown = showsValues ? { data } : { shape: shapeOf(data) }
  const rest = ttlSec === undefined ? '' : `, ${duration(ttlSec * 1000)} to live`
  const state = `${isLocked ? 'locked' : 'not locked'}${isRetired ? RETIRED : ''}`
  return {
    exitCode: EXIT.fine,
    data: { session, server, state: isRetired ? 'retired' : 'stored', sizeBytes, ttlSec, isLocked, ...shown },
    lines: [
      `Session ${session} on ${server}: ${bytes(sizeBytes)}${rest}, ${state}.`,
      ...content,
      ...(showsValues ? [] : ['Values are hidden; --values shows them.']),
    ],
  }
}

function linesOf(data: unknown, showsValues: boolean): string[] {
  try {
    return JSON.stringify(showsValues ? data : shapeOf(data), null, 2).split('\n').map(plainText)
  } catch (cause) {
    throw new UndecodableError('The stored record is nested too deeply to be shown.', { cause })
  }
}

/** Names and types in place of values: "text(12)", "list(3)". */
export function shapeOf(value: unknown): unknown {
  if (value === null) return 'null'
  if (value === AGAIN) return AGAIN
  if (typeof value === 'string') return `text(${String(value.length)})`
  if (Array.isArray(value)) return `list(${String(value.length)})`
  if (value instanceof Bytes) return `bytes(${String(value.count)})`
  if (typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, shapeOf(field)]))
  }
  return typeof value
}
