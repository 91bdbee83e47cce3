// Neither package brings types; this is what latchkey uses of them.

declare module 'cookie' {
  type Attributes = Omit<import('./options.js').CookieOptions, 'maxAge'> & { maxAge?: number | undefined }
  export function parse(header: string): Record<string, string | undefined>
  /** Throws a TypeError at a name or an attribute that a header cannot have. */
  export function serialize(name: string, value: string, attributes: Attributes): string
}

declare module 'cookie-signature' {
  export function sign(value: string, secret: string): string
  /** False when it was not signed with the secret. */
  export function unsign(signed: string, secret: string): string | false
}
