/** What visitors and houses say to each other: a word, and names without spaces. */

/** A visitor waits for the lock that the queue `instance` has of session `id`; it is asked again by the same line. */
export const wait = (instance: string, self: string, id: string): string => `wait ${instance} ${self} ${id}`
/** It waits no longer. */
export const left = (instance: string, self: string): string => `left ${instance} ${self}`
/** The house has the lock. */
export const held = (instance: string): string => `held ${instance}`
/** The house has not, or not any more. */
export const free = (instance: string): string => `free ${instance}`

/** The words of a line; total, as anything may come. */
export function read(line: string): { readonly word: string; readonly instance: string; readonly self: string; readonly id: string } {
  const [word = '', instance = '', self = '', id = ''] = line.split(' ')
  return { word, instance, self, id }
}
