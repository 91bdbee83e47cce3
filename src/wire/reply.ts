/** How a wire makes its replies. */
import type { Cas, Reply, Status, Value } from './command.js'

/** Every reply of a hot path is made here, so that they all have one shape. */
export function replyOf(status: Status, cas: Cas | undefined, value: Value | undefined, flags: number): Reply {
  return { status, value, flags, cas }
}

/** Replies of which there is no more to say than their status. They are shared: no reply is ever changed. */
const bare = (status: Status): Reply => replyOf(status, undefined, undefined, 0)
export const OK = bare('ok')
export const EXISTS = bare('exists')
export const MISSING = bare('missing')
export const TOO_LARGE = bare('tooLarge')
export const OUT_OF_MEMORY = bare('outOfMemory')
