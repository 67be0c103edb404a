import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { temporaryDirectory } from '../clients/agents.ts'

type Owner = { teardown(end: () => Promise<unknown> | unknown): unknown }

const run = promisify(execFile)
const newKey = ['req', '-x509', '-noenc', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']

/** A certificate authority made by `openssl`, deleted with the test. */
type Authority = {
  /** Its certificate, PEM. */
  caFile: string
  /** Certifies a host name. Returns the path of a PEM file with certificate and key, as HAProxy needs it. */
  certify(host: string): Promise<string>
}

export async function openAuthority(t: Owner): Promise<Authority> {
  const directory = await temporaryDirectory(t)
  const [caFile, caKey] = [join(directory, 'ca.pem'), join(directory, 'ca.key')]
  await run('openssl', [...newKey, '-days', '1', '-subj', '/CN=test authority', '-keyout', caKey, '-out', caFile])
  return {
    caFile,
    certify: async host => {
      const file = join(directory, `${host}.pem`)
      const signed = ['-CA', caFile, '-CAkey', caKey, '-days', '1', '-subj', `/CN=${host}`]
      const names = ['-addext', `subjectAltName=DNS:${host}`]
      await run('openssl', [...newKey, ...signed, ...names, '-keyout', `${file}.key`, '-out', `${file}.crt`])
      await writeFile(file, Buffer.concat([await readFile(`${file}.crt`), await readFile(`${file}.key`)]))
      return file
    },
  }
}
