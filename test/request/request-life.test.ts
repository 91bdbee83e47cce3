import { SessionManager } from 'latchkey'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { HeldText } from '../../src/request/held-text.js'
import { RequestLife } from '../../src/request/request-life.js'

/** When a request's session is let go of, whatever its framework. */

let manager = new SessionManager()
let held = heldBy(manager)
/** What was called of the binding. */
let told: string[] = []

function heldBy(owner: SessionManager): HeldText<{ text: string }> {
  return new HeldText(owner, undefined, { decode: (_sid, text) => ({ text }) }, undefined, (error) => error)
}

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  manager = new SessionManager()
  await heldBy(manager).write('a', 'one', 60, true)
  told = []
  held = heldBy(manager)
})
afterEach(async () => {
  vi.useRealTimers()
  await manager.close({ graceMs: 0 })
})

const lifeOf = (): RequestLife => new RequestLife(held, 5000, () => void told.push('protect'))
const isFree = async (): Promise<boolean> => (await manager.holder('a')) === undefined
const ok = (): number => 200
const store = (): Promise<void> => Promise.resolve(void told.push('store'))

async function running(): Promise<RequestLife> {
  const life = lifeOf()
  await held.read('a')
  expect(life.begin()).toBe(true)
  return life
}

it('a response is decided: stored, and let go of', async () => {
  const life = await running()
  await life.decide(ok, store)
  expect([told, await isFree()]).toEqual([['store'], true])
})

it('what could not be stored is thrown, and let go of', async () => {
  const life = await running()
  await expect(life.decide(ok, () => Promise.reject(new Error('refused')))).rejects.toThrow('refused')
  expect(await isFree()).toBe(true)
})

it('a response that tells of the failure by itself stores nothing more', async () => {
  const life = await running()
  await held.calls.inTurn(() => Promise.reject(new Error('refused')), 'a').catch(() => undefined)
  await life.decide(() => 500, store)
  expect([told, await isFree()]).toEqual([['protect'], true])
})

it('a response that does not wait for the session stores nothing, and its handler never begins', async () => {
  const before = heldBy(manager)
  await before.read('a')
  const life = lifeOf()
  const reading = held.read('a').catch(String)
  await life.decide(ok, store)
  expect([life.begin(), told, await reading]).toEqual([false, ['protect'], 'ClientGoneError: The client has gone.'])
  await before.finish()
  expect(await isFree()).toBe(true)
})

it('a client that leaves: its handler has clientGoneMs, and may store until then', async () => {
  const life = await running()
  life.clientGone(() => false)
  await vi.advanceTimersByTimeAsync(4999)
  expect(await isFree()).toBe(false)
  await life.decide(ok, store)
  await vi.advanceTimersByTimeAsync(10_000)
  expect([told, await isFree()]).toEqual([['store'], true])
})

it('a client that leaves, and a handler that never ends: let go after clientGoneMs', async () => {
  const life = await running()
  life.clientGone(() => false)
  await vi.advanceTimersByTimeAsync(5000)
  await vi.waitUntil(isFree)
  expect(told).toEqual(['protect'])
})

it('a client that the application has cut off: let go at once', async () => {
  const life = await running()
  life.clientGone(() => true)
  await vi.waitUntil(isFree)
  expect(told).toEqual(['protect'])
})

it('a client that leaves after its answer costs no timer', async () => {
  const life = await running()
  await life.decide(ok, store)
  const timers = vi.getTimerCount()
  life.clientGone(() => false)
  expect(vi.getTimerCount()).toBe(timers)
})

it('a client that leaves a response in which nothing is held any more costs no timer either', async () => {
  const life = await running()
  await held.write('a', 'two', 60, true)
  life.answer()
  const timers = vi.getTimerCount()
  life.clientGone(() => false)
  expect(vi.getTimerCount()).toBe(timers)
})

it('data that cannot be protected (a Proxy of the application that throws) ends no process when its client leaves', async () => {
  const life = new RequestLife(held, 5000, () => {
    throw new Error('a trap of the application')
  })
  await held.read('a')
  life.begin()
  life.clientGone(() => true)
  await vi.waitUntil(isFree)
})
