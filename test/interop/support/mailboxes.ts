/** A real Postfix that keeps mail in folders of the test's, a file for each. */
import { chownSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../../support/engine.ts'
import { accountOf, type Postfix, startPostfix } from '../../support/postfix.ts'

export interface Mailboxes extends Postfix {
  /** What has arrived in the folder, in any order; lines are ended by CRLF again. */
  mail(folder: string): Buffer[]
  /** How many have. */
  count(folder: string): number
}

/**
 * @param directory its parents must be open to Postfix's own users
 * @param maps which address has which folder, as `virtual_mailbox_maps` takes it: "static:inbox/", "inline:{{ann@example.net=ann/}}"
 */
export async function startMailboxes(options: {
  readonly directory: string
  readonly domain: string
  readonly maps: string
  readonly settings?: Readonly<Record<string, string>>
}): Promise<Mailboxes> {
  const { directory, domain, maps, settings = {} } = options
  const { uid, gid } = accountOf('nobody')
  const base = join(directory, 'mail')
  mkdirSync(base, { recursive: true })
  chownSync(base, uid, gid)
  const postfix = await startPostfix({
    directory,
    port: await freePort(),
    settings: {
      virtual_mailbox_domains: domain,
      virtual_mailbox_base: base,
      virtual_mailbox_maps: maps,
      virtual_minimum_uid: '1',
      virtual_uid_maps: `static:${uid}`,
      virtual_gid_maps: `static:${gid}`,
      smtpd_peername_lookup: 'no',
      ...settings,
    },
  })
  return {
    ...postfix,
    mail(folder) {
      return filesIn(join(base, folder, 'new')).map((file) =>
        Buffer.from(readFileSync(file, 'latin1').replaceAll('\n', '\r\n'), 'latin1'),
      )
    },
    count: (folder) => filesIn(join(base, folder, 'new')).length,
  }
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder).map((name) => join(folder, name))
  } catch {
    return []
  }
}
