import { MAX_DEPTH } from '../system/nesting-limit.js'

/** Whether a tree, which has no cycle (JSON's), is nested deeper than MAX_DEPTH. */
export function isTreeTooDeep(value: unknown, level = 1): boolean {
  if (!isFields(value)) return false
  if (level > MAX_DEPTH) return true
  for (const name in value) if (isTreeTooDeep(value[name], level + 1)) return true
  return false
}

const isFields = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null

/** As isTreeTooDeep(), of JSON's text. */
export function isTextTooDeep(json: string): boolean {
  let level = 0
  for (const [token] of json.matchAll(/"(?:[^"\\]|\\.)*"|[[{]|[\]}]/g)) {
    if (token === '[' || token === '{') level += 1
    else if (token === ']' || token === '}') level -= 1
    if (level > MAX_DEPTH) return true
  }
  return false
}

/** As isTreeTooDeep(), of what may contain itself, by the shortest way to each object. */
export function isTooDeep(data: unknown): boolean {
  const seen = new Set<object>()
  let level: object[] = []
  const find = (value: unknown, found: object[]): void => {
    if (typeof value !== 'object' || value === null || seen.has(value)) return
    seen.add(value)
    found.push(value)
  }
  find(data, level)
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > MAX_DEPTH) return true
    const next: object[] = []
    for (const one of level) for (const part of partsOf(one)) find(part, next)
    level = next
  }
  return false
}

function partsOf(data: object): readonly unknown[] {
  if (ArrayBuffer.isView(data)) return []
  if (data instanceof Map) return [...data.keys(), ...data.values()] as unknown[]
  return data instanceof Set ? [...data] as unknown[] : Object.values(data)
}
