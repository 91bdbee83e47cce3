/** V8 12 is Node 22's, V8 13 that of 24. */
const IS_NEEDED = Number.parseInt(process.versions.v8) < 13

const HIDDEN: PropertyDescriptor = { enumerable: false }
const SHOWN: PropertyDescriptor = { enumerable: true }

/**
 * Express gives each request and response another prototype and adds properties after that, for which V8 before version
 * 13 makes a shape of its own for each object: no access to any of their properties can be cached any more, which is a
 * third of a request's CPU time (docs/adr/0022). An object of which a property was redefined is kept as a
 * dictionary, and of those all that are alike share one shape.
 *
 * @param key an enumerable property of its own. It is what it was before, and so is all else about the object.
 *   What has a class's own prototype (Node's http without Express) is left alone.
 */
export function shareShape(object: object, key: string): void {
  if (!IS_NEEDED || !Object.prototype.propertyIsEnumerable.call(object, key)) return
  const prototype = Object.getPrototypeOf(object) as object | null
  if (prototype === null || Object.hasOwn(prototype, 'constructor')) return
  if (Reflect.defineProperty(object, key, HIDDEN)) Reflect.defineProperty(object, key, SHOWN)
}
