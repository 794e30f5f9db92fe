/** What a recipient takes in memory while its mail waits: the columns of slots.ts. */
export const slotBytes = 58
