/** Durations and outcomes in words. */
export function duration(ms: number): string {
  if (ms < 1) return '<1 ms'
  if (ms < 1000) return `${String(Math.round(ms))} ms`
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`
  return `${String(Math.floor(ms / 60_000))} min ${String(Math.round((ms % 60_000) / 1000))} s`
}

export const count = (value: number): string => (value >= 1e6 ? `${(value / 1e6).toFixed(1)} M` : value >= 1e4 ? `${(value / 1e3).toFixed(0)} k` : String(Math.round(value * 10) / 10))

export const plural = (n: number, one: string, many = `${one}s`): string => `${String(n)} ${n === 1 ? one : many}`

const WORDS: Readonly<Record<string, string>> = {
  ok: 'went well',
  now: 'goes on',
  taken: 'lost its lock to somebody else',
  lapsed: 'lost its lock: it was not renewed in time',
  heldTooLong: 'lost its lock: held for longer than maxHoldMs',
  closed: 'lost its lock: the manager was closed',
  overwrote: 'erased what another request had stored',
  aborted: 'gave up waiting: the visitor left',
  'timed out': 'gave up waiting',
  LATCHKEY_LOCK_TIMEOUT: 'refused: waited for waitMs in vain',
  LATCHKEY_TOO_MANY_WAITERS: 'refused: too many wait already',
  LATCHKEY_FENCED: 'refused: the session had moved on',
  LATCHKEY_SESSION_GONE: 'refused: the session was gone',
  LATCHKEY_OUTCOME_UNKNOWN: 'unknown whether it was stored',
  LATCHKEY_SERVER_UNAVAILABLE: 'failed: the server is away',
  LATCHKEY_CLOSED: 'refused: the manager is closing',
}

export const inWords = (outcome: string): string => WORDS[outcome] ?? outcome

export const isTrouble = (outcome: string): boolean => outcome !== 'ok' && outcome !== 'now' && outcome !== 'aborted'
