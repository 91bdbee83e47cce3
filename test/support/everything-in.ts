/** All text that whoever has a value could get out of it: of hidden fields, causes and buffers as well. */
export function everythingIn(value: unknown, seen = new Set<unknown>()): string {
  if (typeof value !== 'object' || value === null) return String(value)
  if (seen.has(value)) return ''
  seen.add(value)
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('latin1')
  const inner = value instanceof Map || value instanceof Set ? [...value] : []
  const fields = Reflect.ownKeys(value).flatMap((name) => [String(name), Reflect.get(value, name) as unknown])
  return [...inner, ...fields].map((one) => everythingIn(one, seen)).join('\n')
}
