/**
 * `npm run spine`: how many of our functions one uncontended request passes through, from the adapter down to the node
 * that gathers the batch for its socket, when its session is read and when it is stored. A real request on a real memcached.
 *
 *   npm run spine               a table
 *   npm run spine -- --json     the same as one JSON object
 *   npm run spine -- --write    puts the table into docs/explain/architecture.md
 */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MemcachedServer } from '../../test/support/memcached-server.js'
import { SRC, watchSockets } from './socket-stacks.js'

// Before the sources are loaded: they keep the functions that are watched.
const stacks = watchSockets()
const { sites } = await import('./sites.js')

const PAGE = fileURLToPath(new URL('../../docs/explain/architecture.md', import.meta.url))
const [BEGIN, END] = ['<!-- spine: begin -->\n', '<!-- spine: end -->']

/** Where the lines of each are counted. */
const FOLDERS = {
  express: 'adapters/express',
  fastify: 'adapters/fastify/fastify-session',
  fastifyPlain: 'adapters/fastify/own-session',
  koa: 'adapters/koa',
  fetch: 'adapters/fetch',
  store: 'session/session-store.ts',
} as const

type Name = keyof typeof FOLDERS
const NAMES: readonly Name[] = ['express', 'fastify', 'fastifyPlain', 'koa', 'fetch', 'store']

interface Figures {
  readonly read: number
  readonly commit: number
  readonly lines: number
}

/** The adapters of web frameworks, with what they share; and those that tell an operator what happens. */
const WEB = ['http', 'express', 'fastify', 'koa', 'fetch']
const WATCHING = ['inspector', 'opentelemetry', 'prometheus']

const NO_CODE = /^\s*(\/\/|\/?\*|$)/

/** Lines of code: without blank ones and comments. */
interface Lines {
  readonly all: number
  readonly code: number
}

async function linesOf(...paths: readonly string[]): Promise<Lines> {
  const files = await Promise.all(paths.map((path) => (path.endsWith('.ts') ? [path] : filesIn(path))))
  const texts = await Promise.all(files.flat().map((file) => readFile(join(SRC, file), 'utf8')))
  const lines = texts.flatMap((text) => text.split('\n').slice(0, -1))
  return { all: lines.length, code: lines.filter((line) => !NO_CODE.test(line)).length }
}

const filesIn = async (folder: string): Promise<string[]> =>
  (await readdir(join(SRC, folder), { recursive: true })).filter((file) => file.endsWith('.ts')).map((file) => join(folder, file))

/** The functions of the flight that has `command` in it. */
function functionsOf(name: string, command: string): number {
  const found = stacks.taken.find(({ text }) => text.startsWith(command))
  if (found === undefined) throw new Error(`${name}: no flight with "${command}" was sent`)
  return new Set(found.functions).size
}

async function measure(port: number): Promise<Record<Name, Figures>> {
  const figures: Partial<Record<Name, Figures>> = {}
  for (const name of NAMES) {
    await using site = await sites[name](`tcp://127.0.0.1:${String(port)}`)
    // The first makes the session, and the others warm the connection: it is kept from one batch to the next.
    for (let request = 0; request < 3; request++) await site.visit()
    stacks.taken.length = 0
    await site.visit()
    const [read, commit] = [functionsOf(name, 'add '), functionsOf(name, 'cas ')]
    figures[name] = { read, commit, lines: (await linesOf(FOLDERS[name])).all }
  }
  const { express, fastify, fastifyPlain, koa, fetch, store } = figures
  if (!express || !fastify || !fastifyPlain || !koa || !fetch || !store) throw new Error('one was not measured')
  return { express, fastify, fastifyPlain, koa, fetch, store }
}

interface Totals {
  readonly adaptersLines: number
  readonly adaptersCodeLines: number
  readonly watchingLines: number
  readonly requestLines: number
}

async function totals(): Promise<Totals> {
  const [web, watching, request] = await Promise.all([linesOf(...inAdapters(WEB)), linesOf(...inAdapters(WATCHING)), linesOf('request')])
  return { adaptersLines: web.all, adaptersCodeLines: web.code, watchingLines: watching.all, requestLines: request.all }
}

const inAdapters = (folders: readonly string[]): string[] => folders.map((folder) => join('adapters', folder))

function tableOf(figures: Record<Name, Figures>, { adaptersLines, adaptersCodeLines, watchingLines, requestLines }: Totals): string {
  const titles: Record<Name, string> = {
    express: 'Express',
    fastify: '@fastify/session',
    fastifyPlain: 'Fastify, own session',
    koa: 'Koa',
    fetch: 'fetch',
    store: '`SessionStore`',
  }
  const rows = NAMES.map((name) => {
    const { read, commit, lines } = figures[name]
    return `| ${titles[name]} | ${String(read)} | ${String(commit)} | ${String(lines)} |`
  })
  return [
    '| | functions down to the socket: read | commit | lines |',
    '|---|---|---|---|',
    ...rows,
    '',
    `The adapters of web frameworks have ${String(adaptersLines)} lines with what they share (\`src/adapters/http\`), ${String(adaptersCodeLines)} of them code; the`,
    `request that they stand on (\`src/request\`) has ${String(requestLines)}. Those that tell an operator what happens (metrics, spans, the page) have ${String(watchingLines)}.`,
    'Measured by `npm run spine -- --write`.',
    '',
  ].join('\n')
}

await using server = await MemcachedServer.start()
const figures = await measure(server.port)
const lines = await totals()
const table = tableOf(figures, lines)
if (process.argv.includes('--json')) console.log(JSON.stringify({ ...figures, ...lines }))
else console.log(table)
if (process.argv.includes('--write')) {
  const page = await readFile(PAGE, 'utf8')
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)]
  if (from < 0 || to < from) throw new Error(`${PAGE} has no place for the table`)
  await writeFile(PAGE, `${page.slice(0, from)}${BEGIN}\n${table}\n${page.slice(to)}`)
}
