import { SessionManager } from 'latchkey'
import { expect, it, vi } from 'vitest'
import * as express from './express/site.js'
import * as fastify from './fastify/site.js'
import * as koa from './koa/site.js'

express.endSitesAfterEach()
fastify.endSitesAfterEach()
koa.endSitesAfterEach()

/** The frameworks' own generators are in the process's memory: in two that are resumed from one snapshot they agree. */
const SITES = {
  express: () => express.Site.start(() => undefined),
  '@fastify/session': () => fastify.Site.start('with @fastify/session', () => undefined),
  'fastify, its own session': () => fastify.Site.start('without @fastify/session', () => undefined),
  koa: () => koa.Site.start({}),
}

it.each(Object.entries(SITES))('%s: the manager makes the ids of new sessions', async (_stack, start) => {
  const made = vi.spyOn(SessionManager.prototype, 'createSid')
  const { sid } = await (await start()).visitor()
  expect(made.mock.results.map(({ value }) => value as unknown)).toContain(sid)
  made.mockRestore()
})
