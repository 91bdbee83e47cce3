import type { ServerResponse } from 'node:http'

/** Says the content type, in lower case, when the head of a response is written, by whomever. */
export function onHead(res: ServerResponse, listener: (contentType: string) => void): void {
  const { writeHead } = res
  const watched = (...args: unknown[]): unknown => {
    const given = args.find((arg) => typeof arg === 'object' && arg !== null)
    listener(String(typeIn(given) ?? res.getHeader('content-type') ?? '').toLowerCase())
    return Reflect.apply(writeHead, res, args)
  }
  Object.assign(res, { writeHead: watched })
}

/** From writeHead()'s headers: an object, a list of pairs, or a flat list. */
function typeIn(headers: object | null | undefined): unknown {
  const list = Array.isArray(headers) ? headers : Object.entries(headers ?? {})
  const pairs = Array.isArray(list[0]) ? list : pairsOf(list)
  return pairs.find(([name]) => String(name).toLowerCase() === 'content-type')?.[1]
}

const pairsOf = (flat: unknown[]): unknown[][] =>
  flat.flatMap((name, at) => (at % 2 === 0 ? [[name, flat[at + 1]]] : []))
