/** What PHP's serialize() format says, before anything is made of it. */

export type Key = number | bigint | Buffer

export interface Entry {
  readonly key: Key
  readonly node: Node
}

export type Node =
  | { readonly kind: 'scalar'; readonly value: null | boolean | number | bigint }
  | { readonly kind: 'float'; readonly value: number; readonly text: string }
  | { readonly kind: 'string'; readonly bytes: Buffer }
  | { readonly kind: 'array'; readonly entries: readonly Entry[] }
  | { readonly kind: 'object'; readonly className: string; readonly entries: readonly Entry[] }
  | { readonly kind: 'enum'; readonly className: string; readonly caseName: string }
  | { readonly kind: 'custom'; readonly className: string; readonly bytes: Buffer }
  /** The same object once more; or, where PHP shares the variable itself, another name for it. */
  | { readonly kind: 'again'; readonly target: Node; readonly isReference: boolean }
