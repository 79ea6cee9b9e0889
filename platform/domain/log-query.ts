/** Which lines of an environment's output are wanted. */
export type LogQuery = {
  /** The last so many lines that match. */
  lines: number;
  service?: string;
  /** Lines at or after this time, milliseconds since the epoch. */
  since?: number;
  /** Lines that contain this text, letter case ignored. */
  grep?: string;
};
