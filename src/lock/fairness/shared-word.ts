import { type Value, valueBytes } from '../../wire/wire.js'

/**
 * What processes of ours leave beside the lock of a session that they share with strangers. It says how long, and never
 * when: each process judges by its own clock, because those of two hosts differ.
 */
export interface SharedWord {
  /** No two words have the same. */
  readonly name: string
  /** How much of our turn is left; nothing: it is over, and all of ours stand back. */
  readonly leftMs: number
  /** How long the whole turn is. */
  readonly turnMs: number
}

const MAX_BYTES = 200

export const textOf = ({ name, leftMs, turnMs }: SharedWord): string => `${name} ${whole(leftMs)} ${whole(turnMs)}`

/** Undefined: it is no word of ours. */
export function wordOf(value: Value): SharedWord | undefined {
  const [, name, leftMs, turnMs] = /^(\S+) (\d{1,9}) (\d{1,9})$/.exec(value.length > MAX_BYTES ? '' : valueBytes(value).toString('latin1')) ?? []
  return name === undefined ? undefined : { name, leftMs: Number(leftMs), turnMs: Number(turnMs) }
}

const whole = (ms: number): string => String(Math.max(Math.round(ms), 0))
