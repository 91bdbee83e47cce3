import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import { expect, it } from 'vitest'
import { shareShape } from '../../../src/adapters/express/shared-shape.js'

// Whether V8 then has one shape for all requests is its own business, and measured: bench/rows/shapes.ts.

it("leaves Node's own requests and responses as they are", async () => {
  const changed: unknown[] = []
  const server = createServer((req: IncomingMessage, res: ServerResponse) => {
    const all = (): unknown[] => [req, res].flatMap((object) => [Reflect.ownKeys(object), Object.getPrototypeOf(object)])
    const before = all()
    shareShape(req, 'url')
    shareShape(res, 'req')
    changed.push(...all().filter((one, index) => !isDeepStrictEqual(one, before[index])))
    res.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const answer = await fetch(`http://127.0.0.1:${String((server.address() as AddressInfo).port)}/`)
  server.close()
  expect([answer.status, changed]).toEqual([200, []])
})

const child = (own: object): object => Object.assign(Object.create({ inherited: 1 }) as object, own)

it.each([
  ['a property', child({ a: 1, b: undefined })],
  ['an accessor', Object.defineProperty(child({}), 'b', { get: () => 1, enumerable: true, configurable: true })],
  ['one that is hidden', Object.defineProperty(child({}), 'b', { value: 1, configurable: true })],
  ['one that cannot be changed', Object.freeze(child({ a: 1, b: 2 }))],
  ['none of that name', child({ a: 1 })],
  ['no prototype', Object.assign(Object.create(null) as object, { b: 1 })],
])('an object with %s is afterwards what it was before', (_name, object) => {
  const all = (): unknown[] => [Object.getOwnPropertyDescriptors(object), Reflect.ownKeys(object), Object.getPrototypeOf(object)]
  const before = all()
  shareShape(object, 'b')
  expect(all()).toEqual(before)
})
