/** What an operator's tools ask of a Redis, or of each node of a cluster, over connections that live for the question. */
import type { OperateOptions } from '../operated-store.js'

/** Closes what was opened when `question` is answered, or the signal is aborted. @throws the signal's reason then */
export async function asking<C extends { close(): Promise<void> }, T>({ signal }: OperateOptions, open: () => C, question: (opened: C) => Promise<T>): Promise<T> {
  signal.throwIfAborted()
  const opened = open()
  let closing: Promise<void> | undefined
  const close = (): Promise<void> => (closing ??= opened.close())
  const giveUp = (): void => void close()
  signal.addEventListener('abort', giveUp, { once: true })
  try {
    return await question(opened)
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    signal.removeEventListener('abort', giveUp)
    await close()
  }
}

/** The deadline of an operator's flight. */
export const flightMsOf = ({ silenceMs }: OperateOptions): number => Math.max(silenceMs, 10)

/** A walk may meet a key several times. */
export async function distinct(walk: AsyncIterable<string>): Promise<readonly string[]> {
  const keys = new Set<string>()
  for await (const key of walk) keys.add(key)
  return [...keys]
}

/** The answer to PTTL in seconds; undefined where there is no such key, or it lives for ever. */
export const ttlSecIn = (ttlMs: unknown): number | undefined => (typeof ttlMs === 'number' && ttlMs >= 0 ? Math.ceil(ttlMs / 1000) : undefined)
