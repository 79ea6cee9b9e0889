import type { ConfFolder } from "./conf-folder.ts";

/**
 * Files taken out of Nginx's sight on suspicion. What is not ours is not taken away for good without evidence: only
 * once Nginx does without a file what it did not do with it is that told; where it was of no use the file is put back.
 */
export type Custody = {
  /** Moves a file to `rejected/`; `reason` is told should it stay there. */
  take(file: string, reason: string): Promise<void>;
  /** Whether any is held, neither told nor put back. */
  isHolding(): boolean;
  /** It was of use: all that are held stay where they are, and are told. */
  convict(): void;
  /** It was of no use: puts this one back, or all that are held. */
  release(file?: string): Promise<void>;
};

type CustodyOptions = {
  folder: Pick<ConfFolder, "setAside" | "putBack">;
  now: () => number;
  /** A file was moved to `rejected/` and stays there. */
  onRejected: (file: string, reason: string) => void;
};

export function createCustody({ folder, now, onRejected }: CustodyOptions): Custody {
  const held = new Map<string, { place: string; reason: string }>();

  return {
    async take(file, reason) {
      held.set(file, { place: await folder.setAside(file, now()), reason });
    },
    isHolding: () => held.size > 0,
    convict() {
      const convicted = [...held];
      held.clear();
      for (const [file, { reason }] of convicted) onRejected(file, reason);
    },
    async release(file) {
      for (const [name, { place }] of held) {
        if (file !== undefined && name !== file) continue;
        await folder.putBack(name, place);
        held.delete(name);
      }
    },
  };
}
