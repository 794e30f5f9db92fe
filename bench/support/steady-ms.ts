/** Milliseconds with fractions, by the kernel's steady clock: the same for all processes of the machine, so that one can begin a time and another end it. */
export const steadyMs = (): number => Number(process.hrtime.bigint()) / 1e6
