/**
 * Builds the inspector's page into the module that serves it: for dist (`npm run build`), and beside the source for tests
 * and demonstrations, which run without a build. Who installs the package builds nothing.
 */
import { existsSync, statSync, readdirSync } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const PAGE = fileURLToPath(new URL('.', import.meta.url))
const ROOT = join(PAGE, '..')
const FILE = 'adapters/inspector/page-files.js'

async function bundled(file: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(PAGE, file)],
    bundle: true,
    minify: true,
    write: false,
    format: 'iife',
    target: ['chrome100', 'firefox100', 'safari15.4'],
    legalComments: 'eof',
    tsconfig: join(PAGE, 'tsconfig.json'),
  })
  return outputFiles[0]?.text ?? ''
}

/** Writes the module, so that nobody ever sees half of it. */
async function write(file: string, form: (name: string, value: string) => string): Promise<void> {
  const plain = (name: string): Promise<string> => readFile(join(PAGE, name), 'utf8')
  const [html, icon, script, style] = await Promise.all([plain('page.html'), plain('icon.svg'), bundled('main.ts'), bundled('page.css')])
  const text = Object.entries({ html, icon, script, style }).map(([name, value]) => form(name, JSON.stringify(value)))
  await mkdir(dirname(file), { recursive: true })
  await writeFile(`${file}.${String(process.pid)}`, `${text.join('\n')}\n`)
  await rename(`${file}.${String(process.pid)}`, file)
}

/** For what runs from the sources: builds it beside them, if a source of the page is newer. */
export async function buildBesideSource(): Promise<void> {
  const file = join(ROOT, 'src', FILE)
  const newestMs = Math.max(...readdirSync(PAGE).map((name) => statSync(join(PAGE, name)).mtimeMs))
  if (existsSync(file) && statSync(file).mtimeMs > newestMs) return
  await write(file, (name, value) => `export const ${name} = ${value}`)
}

// Whoever bundles this file with a program of its own builds nothing by that.
const [, program, what] = process.argv
if (program === fileURLToPath(import.meta.url) && what === 'beside') await buildBesideSource()
if (program === fileURLToPath(import.meta.url) && what === 'dist') {
  await buildBesideSource()
  await write(join(ROOT, 'dist', FILE), (name, value) => `exports.${name} = ${value}`)
}
