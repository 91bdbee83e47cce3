/** shapes: of two requests that are under way at once, how often both have one shape, and both responses another. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import express, { type Request, type Response } from 'express'
import express4 from 'express4'
import { loadExpressAdapter, loadLatchkey } from '../support/latchkey.js'
import { num, type Row } from '../support/result.js'

const FRAMEWORKS: readonly (readonly [string, () => express.Express])[] = [
  ['Express 5', express],
  ['Express 4', express4],
]

type Ask = (one: object, other: object) => boolean

export const shapes: Row = {
  about: 'pairs of concurrent requests whose objects share one shape, as V8 says itself',
  async run({ quick, progress }) {
    setFlagsFromString('--allow-natives-syntax')
    const haveSameShape = new Function('one', 'other', 'return %HaveSameMap(one, other)') as Ask
    const meetings = quick ? 50 : 500
    const shares: (readonly [string, number])[] = []
    for (const [name, framework] of FRAMEWORKS) {
      progress(name)
      shares.push([name, (await sharedOf(framework(), meetings, haveSameShape)) / meetings])
    }
    return {
      figures: { 'shapes.sharedPct': 100 * Math.min(...shares.map(([, share]) => share)) },
      tables: [{ title: 'shapes', head: ['', '% of pairs'], rows: shares.map(([name, share]) => [name, num(100 * share)]) }],
      charts: [],
      notes: ['a full garbage collection between the two makes V8 forget the shape; without latchkey no two requests share one before V8 13'],
    }
  },
}

async function sharedOf(app: express.Express, meetings: number, haveSameShape: Ask): Promise<number> {
  const [{ SessionManager }, adapter] = await Promise.all([loadLatchkey(), loadExpressAdapter()])
  if (adapter === undefined) throw new Error('latchkey/express is missing in this build')
  const manager = new SessionManager()
  let met: (readonly [Request, Response])[] = []
  app.use(adapter.latchkey({ manager, secret: 'bench', resave: false, saveUninitialized: true }))
  app.get('/', (req, res) => {
    met.push([req, res])
    if (met.length === 2) for (const [, response] of met) response.json({})
  })
  const server = createServer(app)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/`
  let shared = 0
  for (let meeting = 0; meeting < meetings; meeting++) {
    met = []
    await Promise.all([fetch(url), fetch(url)])
    const [one, other] = met
    if (one !== undefined && other !== undefined && haveSameShape(one[0], other[0]) && haveSameShape(one[1], other[1])) shared++
  }
  server.closeAllConnections()
  server.close()
  await manager.close()
  return shared
}
