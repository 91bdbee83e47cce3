import createDebug from 'debug'
import { plainText } from '../system/plain-text.js'
import { processWide } from '../system/process-wide.js'
import { channels } from './channels.js'
import type { EventChannel, TimedEvent } from './event-channel.js'

/** The events that are written under each namespace of `debug`. */
const NAMESPACES: Readonly<Record<string, readonly EventChannel[]>> = {
  'latchkey:lock': [channels.acquire, channels.wait, channels.handOff, channels.renew, channels.lost, channels.release],
  'latchkey:session': [channels.commit, channels.fenced],
  'latchkey:wire': [channels.flight],
}

const written = processWide('written', () => new Set<string>())

/**
 * Writes the events whose namespace of `debug` is enabled (DEBUG=latchkey:*). An event of any other namespace gets no
 * listener, and so costs nothing.
 */
export function logToDebug(): void {
  for (const [namespace, kinds] of Object.entries(NAMESPACES)) {
    if (written.has(namespace) || !createDebug.enabled(namespace)) continue
    written.add(namespace)
    const write = createDebug(namespace)
    for (const kind of kinds) {
      kind.onOver((event) => {
        if (write.enabled) write('%s', plainText(lineOf(kind.name, event)))
      })
    }
  }
}

/** Makes one line: `commit manager-1 81d2a0c3 GET /cart: ok, 0.8 ms, change=write`. */
function lineOf(name: string, event: TimedEvent): string {
  const { manager, session, label, outcome, durationMs, ...rest } = event
  const about = [name.replace(/^.*:/, ''), manager, session, label ?? ''].join(' ').trimEnd()
  const time = durationMs === undefined ? [] : [`${durationMs.toFixed(1)} ms`]
  const fields = Object.entries(rest).filter(([field, value]) => field !== 'error' && value !== undefined)
  const more = fields.map(([field, value]) => `${field}=${shown(value)}`)
  return `${about}: ${[...(outcome === undefined ? [] : [outcome]), ...time, ...more].join(', ')}`
}

function shown(value: unknown): string {
  if (typeof value === 'number') return String(Math.round(value * 10) / 10)
  if (Array.isArray(value)) return value.join(' ')
  if (typeof value === 'object' && value !== null && 'name' in value) return String(value.name)
  return String(value)
}
