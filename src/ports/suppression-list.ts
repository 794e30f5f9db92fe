/**
 * Port `suppression list`, a part of the directory: to whom each tenant sends nothing any more. The lists may have millions of entries, so no snapshot
 * of them exists: threads ask `ports/suppressions.ts`, which main keeps up to date as a listener.
 *
 * Contract:
 *   1. A call that changes something settles when the change is on disk and every listener has settled. So what is added is sent nothing from then on.
 *   2. A tenant is named as its mail names it (Client.tenant): by its id, or by its name when it stands in the configuration file.
 *   3. Addresses are compared and kept in the form of `suppressionAddress`.
 *   4. An entry is added once; a second bounce changes nothing. What a person has added stays a person's, whatever bounces.
 *   5. Calls throw PosthasteError: `tenant_unknown`, `tenant_needed`, `invalid_value`, `suppressions_too_many`, `directory_busy`, and what the
 *      database says.
 */

/** hard_bounce: the receiver said that nothing will ever arrive there. manual: a person did. */
export type SuppressionReason = 'hard_bounce' | 'manual'

export interface Suppression {
  readonly tenant: string
  /** In the form that is compared. */
  readonly address: string
  /** As it stood in the envelope, or as a person wrote it. */
  readonly addressSeen: string
  readonly reason: SuppressionReason
  /** What the receiver said, or what the person noted; at most 512 characters. */
  readonly detail: string
  /** The message that bounced; '' for none. */
  readonly messageId: string
  readonly createdMs: number
  /** 'engine', or who did it. */
  readonly createdBy: string
}

/** A hard bounce (feedback/hard-bounce.ts). */
export interface DeadAddress {
  readonly tenant: string
  /** As it stood in the envelope. */
  readonly address: string
  readonly detail: string
  readonly messageId: string
}

/** What is true from now on. */
export interface SuppressionNews {
  readonly tenant: string
  readonly address: string
  readonly suppressed: boolean
}

export interface SuppressionQuery {
  /** Only those behind this one, in the order of their form. */
  readonly after?: string
  readonly count?: number
  /** What the form begins with. */
  readonly prefix?: string
  readonly reason?: SuppressionReason
}

export interface SuppressionList {
  /**
   * The tenant's name in mail, by its id or name, or what has a list although it is no tenant any more; for '' the only tenant there is, and
   * `tenant_needed` when there are several.
   */
  tenantOf(called: string): Promise<string>
  /**
   * After bounces. Told the same twice it adds nothing. `refused`: the tenant's list, or all of them together, can take no more: mail to these
   * addresses will be tried again, which somebody should hear of.
   */
  suppress(
    dead: readonly DeadAddress[],
  ): Promise<{ readonly added: readonly Suppression[]; readonly refused: readonly DeadAddress[] }>
  /** By a person: all of them or, when one is wrong or there are too many, none. `known`: how many were there already. */
  suppressByHand(
    tenant: string,
    addresses: readonly string[],
    note: { readonly detail: string; readonly createdBy: string },
  ): Promise<{ readonly added: readonly Suppression[]; readonly known: number }>
  /** `unknown`: those that were not there, as they were written. */
  unsuppress(
    tenant: string,
    addresses: readonly string[],
  ): Promise<{ readonly removed: readonly Suppression[]; readonly unknown: readonly string[] }>
  /** A page, in the order of their form; `total` is the whole list's, whatever was asked for. */
  list(
    tenant: string,
    query: SuppressionQuery,
  ): Promise<{ readonly entries: readonly Suppression[]; readonly total: number }>
  /** All lists, for who begins to keep them in memory; a few thousand entries are held at a time. */
  each(visit: (tenant: string, address: string) => void): Promise<void>
  /** Called with every change, one at a time, after its commit; the next change waits for it. Returns how to stop that. */
  onNews(listener: (news: readonly SuppressionNews[]) => void | Promise<void>): () => void
}
