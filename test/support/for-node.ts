import { fileURLToPath } from 'node:url'
import type { BuildOptions } from 'esbuild'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** How programs of tests are built: as ES modules of one file, with packages in them that are CommonJS and need a `require`. */
export const FOR_NODE = {
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  logLevel: 'silent',
  // `requireOf` is a name that no source imports.
  banner: { js: `import { createRequire as requireOf } from 'node:module'; const require = requireOf('${ROOT}package.json');` },
} as const satisfies BuildOptions
