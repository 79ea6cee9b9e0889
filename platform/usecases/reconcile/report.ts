/** What one pass of the reconciler did. */
export type ReconcileReport = { repaired: string[]; retired: string[]; orphans: string[]; failed: string[] };
