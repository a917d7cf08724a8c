// A closer look as the page asks for it: what was told, whether it is being asked, what went wrong.
import { useCallback, useState } from "react";
import { ask, Refused, type Problem } from "./api";

export type Look<T> = { told: T | null; trouble: Problem | null; isAsking: boolean; start: (body: unknown) => Promise<T | null> };

export function useLook<T>(path: string): Look<T> {
  const [state, setState] = useState<Omit<Look<T>, "start">>({ told: null, trouble: null, isAsking: false });
  const start = useCallback(async (body: unknown) => {
    setState((before) => ({ ...before, trouble: null, isAsking: true }));
    try {
      const told = await ask<T>(path, body);
      setState({ told, trouble: null, isAsking: false });
      return told;
    } catch (error) {
      setState((before) => ({ ...before, trouble: (error as Refused).problem, isAsking: false }));
      return null;
    }
  }, [path]);
  return { ...state, start };
}
