import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type DefaultTheme, defineConfig } from 'vitepress'

/** The menu is the front page of docs/: a heading is a group, and a line of its lists is an entry. */
function menu(): DefaultTheme.SidebarItem[] {
  const front = readFileSync(fileURLToPath(new URL('../../docs/README.md', import.meta.url)), 'utf8')
  return front.split(/^## /m).slice(1).map((group) => ({
    text: group.slice(0, group.indexOf('\n')),
    collapsed: false,
    items: [...group.matchAll(/^- \[(.*?)\]\((.*?)\)/gm)].map(([, text = '', link = '']) => ({ text: text.replaceAll('`', ''), link: linkOf(link) })),
  }))
}

const linkOf = (file: string): string =>
  `/${file.replace(/^\.\.\//, 'project/').replace(/README\.md$/, '').replace(/\.md$/, '')}`

/** As GitHub does, so that one anchor serves both. */
const slugify = (heading: string): string =>
  heading.trim().toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, '').replaceAll(' ', '-')

/** What a page says of a word goes before every place where the API names it. */
const pagesFirst = (id: string): number => (id.startsWith('/reference/api/') ? 0.1 : 1)

export default defineConfig({
  title: 'latchkey',
  description: "PHP's session locking for Node, on memcached",
  lang: 'en',
  srcDir: '../.cache/site/pages',
  outDir: '../.cache/site/dist',
  cacheDir: '../.cache/site/vitepress',
  // Opened from any folder of any server.
  base: process.env['DOCS_BASE'] ?? '/',
  cleanUrls: false,
  markdown: { html: false, anchor: { slugify }, toc: { slugify }, headers: { slugify } },
  // The page of the whole API, and the index of the search.
  vite: { build: { chunkSizeWarningLimit: 4000 } },
  themeConfig: {
    sidebar: menu(),
    nav: [
      { text: 'Guide', link: '/guide/express' },
      { text: 'Reference', link: '/reference/options' },
      { text: 'Why', link: '/explain/why-locking' },
    ],
    outline: { level: [2, 3] },
    // In the page, without asking anybody else.
    search: { provider: 'local', options: { miniSearch: { searchOptions: { boostDocument: pagesFirst } } } },
  },
})
