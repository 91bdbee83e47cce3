import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { SessionManagerOptions } from 'latchkey'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Answer, Browser } from './express/browser.js'
import { storesRecord } from './express/tap-wire.js'
import { inWords, played } from './in-words.js'
import { elsewhere, endPlacesAfterEach, type Place, PLACES, type Route } from './places.js'

/** The table "Every framework" of docs/reference/adapters.md: each row is played with each framework, by the same routes. */

endPlacesAfterEach()

interface Scenario {
  readonly route?: Route
  readonly managerOptions?: SessionManagerOptions
  readonly isReading?: boolean
  /** In place of one request of a visitor who has a session. */
  readonly ask?: (place: Place, visitor: Browser) => Promise<Answer>
}

const change: Route = ({ data }) => (data['n'] = 1)
const nothing: Route = () => null
const asStranger = (place: Place): Promise<Answer> => place.browser().get('/it')

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'no session, and nothing is put in': { route: nothing, ask: asStranger },
  'no session, and something is put in': { route: change, ask: asStranger },
  'a cookie whose session has ended': {
    route: nothing,
    ask: async (place, visitor) => {
      await elsewhere(place).destroy(visitor.sid)
      return visitor.get('/it')
    },
  },
  'the session is left as it was': { route: nothing },
  'the session is changed': { route: change },
  'changed and saved': {
    route: async (session, page) => {
      change(session, page)
      await session.save()
      return null
    },
  },
  'changed and released': {
    route: async (session, page) => {
      change(session, page)
      await session.release()
      return null
    },
  },
  'a login: regenerated, and changed': {
    route: async (session, page) => {
      await session.regenerate()
      return change(session, page)
    },
  },
  'a logout: destroyed': {
    route: async (session) => {
      await session.destroy()
      return null
    },
  },
  'only read': { route: nothing, isReading: true },
  'only read, and changed': { route: change, isReading: true },
  'the copy that a login has left behind': {
    route: nothing,
    ask: async (place, visitor) => {
      await elsewhere(place).run(visitor.sid, (session) => session.regenerate({ retiredCopySec: 60 }))
      return visitor.get('/it')
    },
  },
  'locked by another for longer than `waitMs`': {
    managerOptions: { waitMs: 0 },
    ask: async (place, visitor) => {
      const holder = await elsewhere(place).start(visitor.sid)
      const answer = await visitor.get('/it')
      await holder.abort()
      return answer
    },
  },
  'the save is refused': {
    route: change,
    ask: (place, visitor) => {
      place.wire?.refuse(storesRecord)
      return visitor.get('/it')
    },
  },
}

/** As the header of the table names them. */
const COLUMNS: Readonly<Record<string, string>> = { 'Express 4': 'Express', 'Express 5': 'Express', withSession: 'fetch, Hono', honoSession: 'fetch, Hono' }

const PAGE = readFileSync(fileURLToPath(new URL('../../docs/reference/adapters.md', import.meta.url)), 'utf8')
const [, SECTION = ''] = /## Every framework\n([^]*?)(?:\n###? |$)/.exec(PAGE) ?? []
const [HEADER = [], , ...ROWS] = [...SECTION.matchAll(/^\|(.*)\|$/gm)].map(([, row = '']) => row.split('|').map((cell) => cell.trim()))

describe('the table "Every framework" of docs/reference/adapters.md', () => {
  it('has a row for each of these, a column for each framework, and no other', () => {
    expect(ROWS.map(([request]) => request).sort()).toEqual(Object.keys(SCENARIOS).sort())
    const columns = new Set(PLACES.map(([name]) => COLUMNS[name] ?? name))
    expect(HEADER).toEqual(['request', ...columns, 'status'])
  })
})

describe.each(PLACES)('%s', (name, start) => {
  // Some write into each record when it ends: to the millisecond, so that two saves of a request would differ by chance.
  beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }))
  afterEach(() => void vi.useRealTimers())

  it.each(ROWS)('%s', async (request = '', ...cells) => {
    const { route = nothing, managerOptions = {}, isReading = false, ask } = SCENARIOS[request] ?? {}
    const place = await start({ '/it': route }, { managerOptions, readOnly: isReading ? ['/it'] : [] })
    const visitor = await place.visitor()
    const { sid } = visitor
    vi.setSystemTime(Date.now() + 5)
    const { status } = await (ask?.(place, visitor) ?? visitor.get('/it'))
    const promised = cells[HEADER.indexOf(COLUMNS[name] ?? name) - 1] ?? ''
    expect([inWords(place.wire), String(status)]).toEqual([played(promised), cells.at(-1)])
    expect(await place.isFree(sid, ...(visitor.sid === '' ? [] : [visitor.sid]))).toBe(true)
  })
})
