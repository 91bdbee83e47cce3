/**
 * How deep a session's data may be nested, with every serializer and format and in both directions: the data itself is
 * level 1, what is in it level 2. What visitors send can be deeper than any stack.
 */
export const MAX_DEPTH = 100

export const TOO_DEEP = `it is nested more than ${String(MAX_DEPTH)} levels deep`
