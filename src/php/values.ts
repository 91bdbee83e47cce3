/** Values of PHP that JavaScript has not. They are passed through: decoded, kept, and written again as they were. */

/** An object of a PHP class. Its class is never looked for, and nothing of it is ever run. */
export class PhpObject {
  constructor(
    readonly className: string,
    /**
     * Its properties by the names that PHP writes: `name`, `\0*\0name` for a protected one, `\0Class\0name` for a private
     * one. An object without a prototype.
     */
    readonly properties: Record<string, unknown>,
  ) {}
}

/** A case of a PHP enum: `Suit:Hearts`. */
export class PhpEnum {
  constructor(
    readonly className: string,
    readonly caseName: string,
  ) {}
}

/** What a class that writes itself (PHP's `Serializable`) has written, as it is. */
export class PhpCustom {
  constructor(
    readonly className: string,
    readonly bytes: Buffer,
  ) {}
}

/** Scalars: integers beyond 2^53 are BigInt, strings that are no UTF-8 are a Buffer. */
export type PhpScalar = null | boolean | number | bigint | string | Buffer
