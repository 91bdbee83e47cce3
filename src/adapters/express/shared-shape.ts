const FIRST = Symbol('latchkey.first')
const LAST = Symbol('latchkey.last')

/** V8 12 is Node 22's, V8 13 that of 24. */
const IS_NEEDED = Number.parseInt(process.versions.v8) < 13

/**
 * Express gives each request and response another prototype and adds properties after that, for which V8 before version
 * 13 makes a shape of its own for each object: no access to any of their properties can be cached any more, which is a
 * third of a request's CPU time (docs/performance.md). An object that had a property deleted, and not its last, is kept
 * as a dictionary, and of those all that are alike share one shape.
 *
 * Nothing else changes about the object. What has a class's own prototype (Node's http without Express) is left alone.
 */
export function shareShape(object: object): void {
  if (!IS_NEEDED || Object.hasOwn(Object.getPrototypeOf(object) as object, 'constructor')) return
  for (const key of [FIRST, LAST]) Reflect.set(object, key, undefined)
  for (const key of [FIRST, LAST]) Reflect.deleteProperty(object, key)
}
