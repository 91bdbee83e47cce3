/** Of a class: what its instances inherit. */
interface Kind {
  readonly prototype: object
}

/**
 * Makes `instanceof` true for the instances of every copy of a class: a monorepo, or a bundler that makes one for each
 * route, loads this package twice, and a manager of one copy is given to an adapter of the other.
 *
 * @param kinds by the names under which copies find each other, of whatever version; a bundler may change the classes' own.
 */
export function brand(kinds: Readonly<Record<string, Kind>>): void {
  for (const [name, kind] of Object.entries(kinds)) {
    const mark = Symbol.for(`latchkey.${name}`)
    Object.defineProperty(kind.prototype, mark, { value: true })
    Object.defineProperty(kind, Symbol.hasInstance, {
      value(this: Kind, value: unknown): boolean {
        // An application's own subclass inherits this, and is no brand.
        if (!Object.hasOwn(this.prototype, mark)) return Reflect.apply(ordinary, this, [value])
        return typeof value === 'object' && value !== null && mark in value
      },
    })
  }
}

const ordinary = Function.prototype[Symbol.hasInstance]
