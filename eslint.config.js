import stylistic from '@stylistic/eslint-plugin'
import tseslint from 'typescript-eslint'
import { LONG_FILES, MAX_LINES, MAX_PARAMETERS } from './eslint.exceptions.js'

const SRC = ['src/**/*.ts']

/** How the code is laid out. `npm run format` does it; where a line is broken is left to whoever writes it. */
const LAYOUT = [
  stylistic.configs.customize({ indent: 2, quotes: 'single', semi: false, commaDangle: 'always-multiline', braceStyle: '1tbs', arrowParens: true }),
  {
    rules: {
      '@stylistic/member-delimiter-style': ['error', { multiline: { delimiter: 'none' }, singleline: { delimiter: 'semi', requireLast: false }, multilineDetection: 'brackets' }],
      '@stylistic/quotes': ['error', 'single', { avoidEscape: true, allowTemplateLiterals: 'always' }],
      '@stylistic/operator-linebreak': ['error', 'after', { overrides: { '?': 'before', ':': 'before', '|': 'before' } }],
      '@stylistic/generator-star-spacing': ['error', { before: true, after: false }],
      '@stylistic/max-statements-per-line': ['error', { max: 2 }],
      '@stylistic/max-len': ['error', { code: 180, ignoreUrls: true, ignoreStrings: true, ignoreTemplateLiterals: true, ignoreRegExpLiterals: true }],
      '@stylistic/list-style': 'off',
      '@stylistic/indent-binary-ops': 'off',
      '@stylistic/lines-between-class-members': 'off',
      '@stylistic/quote-props': 'off',
    },
  },
]

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', 'bench/results/', '.cache/', 'src/adapters/inspector/page-files.js'] },
  ...tseslint.configs.strict,
  ...LAYOUT,
  // What is published is checked with its types. Tests and examples are checked by the compiler, and by the rules above.
  ...tseslint.configs.strictTypeChecked.map((config) => ({ ...config, files: SRC })),
  {
    files: SRC,
    // What is built, and no more: with the tests around it, a fifth of the time goes to reading those.
    languageOptions: { parserOptions: { project: 'tsconfig.build.json' } },
    rules: {
      // express-session's store methods return nothing; ours return promises as well.
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: { inheritedMethods: false } }],
      // A number reads the same in every template.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      // `return done()` ends a function in one line, whether or not there is something to return.
      '@typescript-eslint/no-confusing-void-expression': 'off',
      '@typescript-eslint/no-meaningless-void-operator': 'off',
      // What was thrown at us is thrown on, whatever it is.
      '@typescript-eslint/only-throw-error': 'off',
      '@typescript-eslint/prefer-promise-reject-errors': ['error', { allowThrowingUnknown: true }],
      // `async` also makes a rejection of what is thrown, with nothing to await.
      '@typescript-eslint/require-await': 'off',
      // Callers without types give what they like; and what another turn changed meanwhile looks as it was to these rules.
      '@typescript-eslint/no-unnecessary-condition': 'off',
      '@typescript-eslint/no-unnecessary-boolean-literal-compare': 'off',
      // Strangers' objects are shown as they show themselves.
      '@typescript-eslint/no-base-to-string': 'off',
      'no-console': 'error',
      'max-lines': ['error', MAX_LINES],
      'max-params': ['error', MAX_PARAMETERS],
    },
  },
  {
    // A framework's types say `any`, and its methods are put into its own objects again, which they are called on.
    files: ['src/adapters/**/*.ts', 'src/response/**/*.ts'],
    rules: {
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-misused-spread': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  { files: LONG_FILES, rules: { 'max-lines': 'off' } },
  {
    // A dump (`console.log(wire)`, a debugger, an error reporter) shows what is `private` and not what is `#`: names and
    // passwords, keys, records in clear. So `#` is for what knows those, and `private` for everything else.
    files: SRC,
    ignores: ['src/wire/memcached/**', 'src/wire/redis/**', 'src/wire/socket/**', 'src/session/records/**'],
    rules: { 'no-restricted-syntax': ['error', { selector: 'PrivateIdentifier', message: 'Nothing here is a secret: `private`.' }] },
  },
  {
    files: ['src/wire/memcached/**/*.ts', 'src/wire/redis/**/*.ts', 'src/wire/socket/**/*.ts', 'src/session/records/**/*.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector: ':matches(PropertyDefinition, MethodDefinition, TSParameterProperty)[accessibility="private"][kind!="constructor"]',
          message: 'A dump would show it, and it may hold credentials or keys: `#`.',
        },
      ],
    },
  },
  { rules: { '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }], '@typescript-eslint/unified-signatures': 'off', '@typescript-eslint/no-non-null-assertion': 'error' } },
)
