/**
 * Puts the pages of the site together in .cache/site/pages: docs/ as it is, the pages of the root, and the API reference,
 * which typedoc makes from the docstrings. `npm run docs` runs this, and then VitePress on what it has put there.
 *
 * docs/ is written for people who read it where it lies (on GitHub, in node_modules). What a generator wants otherwise is
 * changed here and nowhere else: a folder's front page is `index.md`, and comments for tests are not shown.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PAGES = join(ROOT, '.cache/site/pages')
const ROOT_PAGES = ['CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md']
const API = 'reference/api'

rmSync(PAGES, { recursive: true, force: true })
cpSync(join(ROOT, 'docs'), PAGES, { recursive: true })
mkdirSync(join(PAGES, 'project'))
for (const page of ROOT_PAGES) cpSync(join(ROOT, page), join(PAGES, 'project', page))
execFileSync(join(ROOT, 'node_modules/.bin/typedoc'), ['--options', 'site/typedoc.json', '--out', join(PAGES, API)], { cwd: ROOT, stdio: 'inherit' })

for (const file of readdirSync(PAGES, { recursive: true, encoding: 'utf8' })) {
  const path = join(PAGES, file)
  // What a page offers to download: VitePress passes on only what stands in `public`.
  if (/\.(ya?ml|json|sh|conf|service)$/.test(file)) cpSync(path, join(PAGES, 'public', file))
  if (!file.endsWith('.md')) continue
  writeFileSync(path, forSite(file, readFileSync(path, 'utf8')))
  if (file.endsWith('README.md')) renameSync(path, path.replace(/README\.md$/, 'index.md'))
}

function forSite(file: string, text: string): string {
  const depth = file.split('/').length - 1
  const toProject = `${'../'.repeat(depth)}project/`
  return text
    .replace(/^<!-- .*? -->\n/gm, '')
    .replace(/\]\(([^)\s]*)README\.md/g, ']($1index.md')
    .replace(/\]\((?:\.\.\/)+(CHANGELOG|CONTRIBUTING|SECURITY)\.md/g, `](${toProject}$1.md`)
    .replace(/\]\(docs\//g, '](../')
    // VitePress takes files of these endings for pages.
    .replace(/\[([^\]]*)\]\((?!\w+:)([^)]*\.(?:sh|service))\)/g, '<a href="$2" download>$1</a>')
}
