import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, normalize, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import type * as TypeScript from 'typescript'
import { describe, expect, it } from 'vitest'

// Before Node imports a CommonJS module it looks for the names of its exports. In nine megabytes that takes longer than to load them.
const ts = createRequire(import.meta.url)('typescript') as typeof TypeScript
const SRC = fileURLToPath(new URL('../src', import.meta.url))

const limits = (await import(new URL('../eslint.exceptions.js', import.meta.url).href)) as {
  readonly MAX_LINES: number
  readonly LONG_FILES: readonly string[]
}

/** From the top down. A folder may import from its own and from those further down, never upwards. */
const LAYERS = ['cli', 'adapters', 'response', 'request', 'session', 'mutex', 'lock', 'wire', 'base'] as const
type Layer = (typeof LAYERS)[number]

/** Files that are not in a layer's folder. `testing` is public and stands beside the session layer. */
const layerOf = (file: string): Layer => {
  const [folder] = file.split('/')
  if (folder === 'index.ts') return 'adapters'
  if (folder === 'testing') return 'session'
  return LAYERS.find((layer) => layer === folder) ?? 'base'
}

const COOKIES = ['adapters/fetch/session-cookie.ts', 'adapters/express/unsigned-cookie.ts']

/** Who alone may import a package; node: is everybody's. */
const OWNERS: Record<string, (file: string) => boolean> = {
  memjs: (file) => file === 'wire/memcached/binary-codec.ts',
  'generic-pool': (file) => file === 'wire/socket/pool.ts',
  'secure-json-parse': (file) => file === 'session/serializer.ts',
  debug: (file) => file === 'observe/debug-log.ts',
  'prom-client': (file) => file.startsWith('adapters/prometheus/'),
  '@opentelemetry/api': (file) => file.startsWith('adapters/opentelemetry/'),
  'express-session': (file) => file.startsWith('adapters/express/'),
  express: (file) => file.startsWith('adapters/express/'),
  fastify: (file) => file.startsWith('adapters/fastify/'),
  'fastify-plugin': (file) => file === 'adapters/fastify/index.ts',
  '@fastify/cookie': (file) => file.startsWith('adapters/fastify/'),
  '@fastify/session': (file) => file.startsWith('adapters/fastify/'),
  koa: (file) => file.startsWith('adapters/koa/'),
  'koa-session': (file) => file.startsWith('adapters/koa/'),
  cookie: (file) => COOKIES.includes(file),
  'cookie-signature': (file) => COOKIES.includes(file),
}

interface Import {
  readonly file: string
  readonly to: string
  readonly typeOnly: boolean
}

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
const imports = files.flatMap(importsOf)
const own = imports.filter(({ to }) => to.startsWith('.')).map(({ file, to, typeOnly }) => ({ file, to: resolve(file, to), typeOnly }))

function importsOf(file: string): Import[] {
  const text = readFileSync(join(SRC, file), 'utf8')
  // To the end of the line that imports last: below it is most of the program, which would be read for nothing.
  const last = Math.max(text.lastIndexOf("from '"), text.lastIndexOf("import '"))
  const source = ts.createSourceFile(file, text.slice(0, text.indexOf('\n', last)), ts.ScriptTarget.ES2022)
  return source.statements.flatMap((statement) => {
    if (!ts.isImportDeclaration(statement) && !ts.isExportDeclaration(statement)) return []
    const { moduleSpecifier } = statement
    if (moduleSpecifier === undefined || !ts.isStringLiteral(moduleSpecifier)) return []
    const typeOnly = ts.isImportDeclaration(statement) ? statement.importClause?.isTypeOnly === true : statement.isTypeOnly
    return [{ file, to: moduleSpecifier.text, typeOnly }]
  })
}

function resolve(file: string, to: string): string {
  return relative('.', normalize(join(dirname(file), to))).replace(/\.js$/, '.ts')
}

describe('the architecture', () => {
  it('was read', () => {
    expect(files.length).toBeGreaterThan(30)
    expect(own.length).toBeGreaterThan(60)
  })

  it('imports point downwards only', () => {
    const upwards = own.filter(({ file, to }) => LAYERS.indexOf(layerOf(file)) > LAYERS.indexOf(layerOf(to)))
    expect(upwards).toEqual([])
  })

  it('the lock layer has floors: who is alone, who waits, who holds, what goes over the wire', () => {
    const floors: Record<string, readonly string[]> = {
      '': ['queue', 'fairness', 'hold', 'bell', 'protocol'],
      queue: ['fairness', 'hold', 'protocol'],
      fairness: ['protocol'],
      hold: ['protocol'],
      bell: ['protocol'],
      protocol: [],
    }
    const floorOf = (file: string): string | undefined => /^lock\/(?:(\w+)\/)?[^/]+$/.exec(file)?.slice(1).map((name) => name ?? '')[0]
    const inside = own.flatMap(({ file, to }) => {
      const [from, down] = [floorOf(file), floorOf(to)]
      return from === undefined || down === undefined || from === down ? [] : [{ file, to, from, down }]
    })
    expect(inside.length).toBeGreaterThan(30)
    expect(inside.filter(({ from, down }) => floors[from]?.includes(down) !== true)).toEqual([])
  })

  it('no adapter knows another', () => {
    const across = own.filter(({ file, to }) => {
      const [layer, adapter] = file.split('/')
      const [otherLayer, other] = to.split('/')
      // `http` is what they share; it knows none of them.
      return layer === 'adapters' && otherLayer === 'adapters' && adapter !== other && other !== 'http'
    })
    expect(across).toEqual([])
  })

  it('a store is known in its own folder alone: everybody else asks the table of schemes', () => {
    // `socket` is no store: it is what stores that are reached over a socket share. Nor is `replicated`, which keeps copies on
    // several wires, whatever they lead to.
    const storeOf = (file: string): string | undefined => /^wire\/(?!socket\/|replicated\/)(\w+)\//.exec(file)?.[1]
    const strangers = own.filter(({ file, to }) => {
      const store = storeOf(to)
      return store !== undefined && store !== storeOf(file) && file !== 'wire/open-wire.ts'
    })
    expect(strangers).toEqual([])
  })

  it('what stores share that are reached over a socket knows none of them', () => {
    const known = own.filter(({ file, to }) => /^wire\/(socket|replicated)\//.exec(file)?.[1] !== undefined && /^wire\/(?!socket\/|replicated\/)\w+\//.test(to))
    expect(known).toEqual([])
  })

  it('no code outside of its folder says "memcached"', () => {
    const words = (file: string): string[] => {
      const text = readFileSync(join(SRC, file), 'utf8')
      // Most say it nowhere, and to read a program takes its time.
      if (!/memcached/i.test(text)) return []
      const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2022)
      const found: string[] = []
      const visit = (node: TypeScript.Node): void => {
        const isText = ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node)
        if ((isText || ts.isIdentifier(node)) && /memcached/i.test(node.text)) found.push(`${file}: ${node.text}`)
        ts.forEachChild(node, visit)
      }
      visit(source)
      return found
    }
    const outside = files.filter((file) => !file.startsWith('wire/memcached/') && file !== 'wire/open-wire.ts')
    // An example of a save path, for people; and PHP's extension of that name, with its settings.
    const ofPhp = ['session/dialect/php', 'cli/doctor/php/']
    const others = outside.filter((file) => file !== 'cli/help.ts' && !ofPhp.some((folder) => file.startsWith(folder)))
    expect(others.flatMap(words)).toEqual([])
  })

  it('holding a response back knows nothing of sessions', () => {
    const known = own.filter(({ file, to }) => layerOf(file) === 'response' && layerOf(to) !== 'response')
    expect(known).toEqual([])
  })

  it('what a request holds of its session knows no framework, no cookie and no serializer', () => {
    const known = own.filter(({ file, to }) => file === 'request/held-text.ts' && layerOf(to) === 'session')
    expect(known.filter(({ typeOnly }) => !typeOnly)).toEqual([])
  })

  it('no module imports itself, however far round, types included', () => {
    const next = new Map(files.map((file) => [file, own.filter((one) => one.file === file).map(({ to }) => to)]))
    const reaches = (from: string, goal: string, seen = new Set<string>()): boolean =>
      (next.get(from) ?? []).some((to) => {
        if (to === goal) return true
        if (seen.has(to)) return false
        seen.add(to)
        return reaches(to, goal, seen)
      })
    expect(files.filter((file) => reaches(file, file))).toEqual([])
  })

  it('each package has one importer, and nothing else is imported', () => {
    const packages = imports.filter(({ to }) => !to.startsWith('.') && !to.startsWith('node:'))
    expect(packages.filter(({ file, to }) => OWNERS[to]?.(file) !== true)).toEqual([])
  })

  it('versions are compared by the wire alone: nothing above it looks into one', () => {
    const above = files.filter((file) => ['cli', 'adapters', 'request', 'session', 'lock'].includes(layerOf(file)) && !file.startsWith('testing/'))
    expect(above.filter((file) => /\basOf\b|\bcas\??\.version\b/i.test(readFileSync(join(SRC, file), 'utf8')))).toEqual([])
  })

  it('what breaks a limit on length is on a list that can only shrink', () => {
    const { MAX_LINES, LONG_FILES } = limits
    const text = (file: string): string => (files.includes(file.replace(/^src\//, '')) ? readFileSync(join(SRC, '..', file), 'utf8') : '')
    // Strike these off in eslint.exceptions.js: they keep the limit now, or are gone.
    expect(LONG_FILES.filter((file) => text(file).trimEnd().split('\n').length <= MAX_LINES)).toEqual([])
  })
})
