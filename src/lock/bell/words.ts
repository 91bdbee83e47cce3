/** The lines that visitors and houses send each other: a word, and then names without spaces. */

/** The visitor's queue `self` waits for the lock of session `id` that `instance` holds. The same line asks again. */
export const wait = (instance: string, self: string, id: string): string => `wait ${instance} ${self} ${id}`
/** The visitor's queue `self` waits no longer. */
export const left = (instance: string, self: string): string => `left ${instance} ${self}`
/** The house holds the lock of `instance`. */
export const held = (instance: string): string => `held ${instance}`
/** The house does not hold the lock of `instance`, or not any more. */
export const free = (instance: string): string => `free ${instance}`

/** Splits a line into its words. Never throws, because anybody may send anything. */
export function read(line: string): { readonly word: string; readonly instance: string; readonly self: string; readonly id: string } {
  const [word = '', instance = '', self = '', id = ''] = line.split(' ')
  return { word, instance, self, id }
}
