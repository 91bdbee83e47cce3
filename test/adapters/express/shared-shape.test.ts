import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import type { Request, Response } from 'express'
import { expect, it } from 'vitest'
import { shareShape } from '../../../src/adapters/express/shared-shape.js'
import { endSitesAfterEach, EXPRESSES, Site, visit } from './site.js'

endSitesAfterEach()

/** V8's own answer: whether what it knows of one object's properties serves for the other. */
setFlagsFromString('--allow-natives-syntax')
const haveSameShape = new Function('one', 'other', 'return %HaveSameMap(one, other)') as (one: object, other: object) => boolean
const isFast = new Function('object', 'return %HasFastProperties(object)') as (object: object) => boolean

it.each(EXPRESSES)('%s: requests have one shape between them, and so have responses', async (_name, framework) => {
  let met: [Request, Response][] = []
  let release = (): void => undefined
  let both = Promise.resolve()
  const site = await Site.start(
    (app) => {
      app.get('/meet', async (req, res) => {
        visit(req).n = 1
        if (met.push([req, res]) === 2) release()
        await both
        res.json({})
      })
    },
    { framework },
  )
  const meet = async (): Promise<[boolean, boolean]> => {
    met = []
    both = new Promise((resolve) => (release = resolve))
    await Promise.all([site.browser().get('/meet'), site.browser().get('/meet')])
    const [[oneReq, oneRes], [otherReq, otherRes]] = met as [[Request, Response], [Request, Response]]
    return [haveSameShape(oneReq, otherReq), haveSameShape(oneRes, otherRes)]
  }
  // A full garbage collection makes V8 forget the shape, and two that it comes between have two; otherwise no two share one.
  const meetings = [await meet(), await meet(), await meet(), await meet()]
  expect(meetings).toContainEqual([true, true])
})

it("leaves Node's own requests and responses as they are", async () => {
  const seen: boolean[] = []
  const keys: (string | symbol)[] = []
  const server = createServer((req: IncomingMessage, res: ServerResponse) => {
    const before = Reflect.ownKeys(res)
    shareShape(req, 'url')
    shareShape(res, 'req')
    seen.push(isFast(req), isFast(res))
    keys.push(...Reflect.ownKeys(res).filter((key) => !before.includes(key)))
    res.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  await fetch(`http://127.0.0.1:${String((server.address() as AddressInfo).port)}/`)
  server.close()
  expect([seen, keys]).toEqual([[true, true], []])
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
