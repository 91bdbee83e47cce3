/** A class, abstract or not. */
interface Kind {
  readonly prototype: object
}

/**
 * Makes `instanceof` true for instances of every copy of a class. A monorepo, or a bundler that bundles each route by
 * itself, may load this package twice, and then a manager of one copy is given to an adapter of the other.
 *
 * @param kinds the classes by the names under which all copies know them, in every version. The classes' own names will
 *   not do, because a bundler may change them.
 */
export function brand(kinds: Readonly<Record<string, Kind>>): void {
  for (const [name, kind] of Object.entries(kinds)) {
    const mark = Symbol.for(`latchkey.${name}`)
    Object.defineProperty(kind.prototype, mark, { value: true })
    Object.defineProperty(kind, Symbol.hasInstance, {
      value(this: Kind, value: unknown): boolean {
        // A subclass that the application wrote inherits this method but has no mark of its own: it is tested as usual.
        if (!Object.hasOwn(this.prototype, mark)) return Reflect.apply(ordinary, this, [value])
        return typeof value === 'object' && value !== null && mark in value
      },
    })
  }
}

const ordinary = Function.prototype[Symbol.hasInstance]
