// Mol* as a library, in a chunk of its own that is fetched only where a structure was given. It reads the text that the
// page already holds (rawData) and asks no other server.
//
// Residues are coloured by a theme of ours that looks each one up in a table of the page (chain and author's number), so
// that confidence, mutations and reasons are painted in 3-D exactly as they are beside it.
import { PluginContext } from "molstar/lib/mol-plugin/context.js";
import { DefaultPluginSpec } from "molstar/lib/mol-plugin/spec.js";
import { PluginConfig } from "molstar/lib/mol-plugin/config.js";
import { StructureElement, StructureProperties, Unit, Structure } from "molstar/lib/mol-model/structure.js";
import { Bond } from "molstar/lib/mol-model/structure.js";
import { Color } from "molstar/lib/mol-util/color/index.js";
import { ParamDefinition as PD } from "molstar/lib/mol-util/param-definition.js";
import { OrderedSet, SortedArray } from "molstar/lib/mol-data/int.js";

export type Residue = { chain: string; number: number; insertion: string };
const THEME = "anfinsen-residue";
const GREY = Color(0x9aa0a6);
const keyOf = (chain: string, number: number, insertion: string) => `${chain}|${number}|${insertion}`;
const residueAt = (at: StructureElement.Location): Residue => ({
  chain: StructureProperties.chain.auth_asym_id(at),
  number: StructureProperties.residue.auth_seq_id(at),
  insertion: StructureProperties.residue.pdbx_PDB_ins_code(at),
});

export class Viewer {
  private colours = new Map<string, number>();
  private version = 0;
  private found: Map<string, [Unit, number, number]> | null = null;
  private constructor(private plugin: PluginContext) {}

  static async open(target: HTMLElement, text: string, dark: boolean): Promise<Viewer> {
    const usual = DefaultPluginSpec();
    const plugin = new PluginContext({
      ...usual,
      config: [[PluginConfig.VolumeStreaming.Enabled, false]],
    });
    await plugin.init();
    if (!(await plugin.mountAsync(target))) throw new Error("This browser shows no 3-D pictures (WebGL is missing).");
    const viewer = new Viewer(plugin);
    viewer.paper(dark);
    viewer.addTheme();
    const format = /^\s*(?:#[^\n]*\s+)*data_/.test(text) ? "mmcif" : "pdb";
    const data = await plugin.builders.data.rawData({ data: text, label: "structure" });
    const trajectory = await plugin.builders.structure.parseTrajectory(data, format);
    const model = await plugin.builders.structure.createModel(trajectory);
    const structure = await plugin.builders.structure.createStructure(model);
    const polymer = await plugin.builders.structure.tryCreateComponentStatic(structure, "polymer");
    const ligand = await plugin.builders.structure.tryCreateComponentStatic(structure, "ligand");
    const paint = { color: THEME as never, colorParams: { version: 0 } as never };
    if (polymer) await plugin.builders.structure.representation.addRepresentation(polymer, { type: "cartoon", ...paint });
    if (ligand) await plugin.builders.structure.representation.addRepresentation(ligand, { type: "ball-and-stick" });
    return viewer;
  }

  /** Light or dark paper behind the protein. */
  paper(dark: boolean): void {
    this.plugin.canvas3d?.setProps({
      renderer: { backgroundColor: Color(dark ? 0x181b22 : 0xffffff), selectColor: Color(0x6d5efc), highlightColor: Color(0xb9a8ff) },
      marking: { selectEdgeColor: Color(0x5a4df0), highlightEdgeColor: Color(0x9d92ff) },
      camera: { helper: { axes: { name: "off", params: {} } } },
    } as never);
  }

  private addTheme(): void {
    const { colours } = this;
    const location = StructureElement.Location.create();
    const look = (at: StructureElement.Location) => {
      if (!Unit.isAtomic(at.unit)) return GREY;
      const { chain, number, insertion } = residueAt(at);
      const found = colours.get(keyOf(chain, number, insertion));
      return found === undefined ? GREY : Color(found);
    };
    const factory = (_: unknown, props: { version: number }): unknown => ({
      factory,
      granularity: "group",
      props,
      description: "A colour for each residue.",
      color: (where: unknown) => {
        if (StructureElement.Location.is(where as never)) return look(where as StructureElement.Location);
        if (Bond.isLocation(where as never)) {
          const bond = where as Bond.Location;
          location.structure = bond.aStructure;
          location.unit = bond.aUnit;
          location.element = bond.aUnit.elements[bond.aIndex];
          return look(location);
        }
        return GREY;
      },
    });
    this.plugin.representation.structure.themes.colorThemeRegistry.add({
      name: THEME,
      label: "Anfinsen",
      category: "Misc",
      factory,
      getParams: () => ({ version: PD.Numeric(0) }),
      defaultValues: { version: 0 },
      isApplicable: () => true,
    } as never);
  }

  /** Paint residues; those that are not named are grey. */
  async paint(colours: Iterable<[Residue, number]>): Promise<void> {
    this.colours.clear();
    for (const [one, colour] of colours) this.colours.set(keyOf(one.chain, one.number, one.insertion), colour);
    this.version += 1;
    const { structures } = this.plugin.managers.structure.hierarchy.current;
    await this.plugin.dataTransaction(async () => {
      for (const one of structures) {
        await this.plugin.managers.structure.component.updateRepresentationsTheme(
          one.components.filter((component) => component.key?.includes("polymer")),
          { color: THEME as never, colorParams: { version: this.version } as never },
        );
      }
    });
  }

  private structure(): Structure | undefined {
    return this.plugin.managers.structure.hierarchy.current.structures[0]?.cell.obj?.data;
  }

  /** Where each residue lies: its unit, and its first and last atom there; read once. */
  private get places(): Map<string, [Unit, number, number]> {
    if (this.found) return this.found;
    this.found = new Map();
    const at = StructureElement.Location.create(this.structure());
    for (const unit of this.structure()?.units ?? []) {
      at.unit = unit;
      for (let index = 0; index < unit.elements.length; index++) {
        at.element = unit.elements[index];
        const { chain, number, insertion } = residueAt(at);
        const key = keyOf(chain, number, insertion), known = this.found.get(key);
        if (known?.[0] === unit) known[2] = index;
        else if (!known) this.found.set(key, [unit, index, index]);
      }
    }
    return this.found;
  }

  private loci(residues: Residue[]): StructureElement.Loci | undefined {
    const structure = this.structure(), atoms = new Map<Unit, number[]>();
    for (const one of residues) {
      const [unit, first, last] = this.places.get(keyOf(one.chain, one.number, one.insertion)) ?? [];
      if (!unit) continue;
      if (!atoms.has(unit)) atoms.set(unit, []);
      for (let index = first!; index <= last!; index++) atoms.get(unit)!.push(index);
    }
    if (!structure || !atoms.size) return undefined;
    return StructureElement.Loci(structure, [...atoms].map(([unit, found]) => ({
      unit, indices: OrderedSet.ofSortedArray(SortedArray.ofUnsortedArray<StructureElement.UnitIndex>(found)),
    })));
  }

  /** Mark residues of one chain. */
  select(residues: Residue[], look: boolean): void {
    const loci = this.loci(residues);
    const { lociSelects } = this.plugin.managers.interactivity;
    if (!loci) {
      lociSelects.deselectAll();
      return;
    }
    lociSelects.selectOnly({ loci }, false);
    if (look) this.plugin.managers.camera.focusLoci(loci, { minRadius: 12, durationMs: 300 });
  }

  highlight(residue: Residue | null): void {
    const loci = residue && this.loci([residue]);
    if (loci) this.plugin.managers.interactivity.lociHighlights.highlightOnly({ loci }, false);
    else this.plugin.managers.interactivity.lociHighlights.clearHighlights();
  }

  /** The residues that Mol* itself holds as selected. */
  selected(): Residue[] {
    const found = new Map<string, Residue>();
    this.plugin.managers.structure.selection.entries.forEach(({ selection }) => {
      StructureElement.Loci.forEachLocation(selection as StructureElement.Loci, (at) => {
        const one = residueAt(at);
        found.set(keyOf(one.chain, one.number, one.insertion), one);
      });
    });
    return [...found.values()];
  }

  /** Be told which residue was clicked, with the shift key or without. */
  onClick(tell: (residue: Residue, extend: boolean) => void): void {
    this.plugin.behaviors.interaction.click.subscribe(({ current, modifiers }) => {
      const { loci } = current;
      if (!StructureElement.Loci.is(loci)) return;
      const at = StructureElement.Loci.getFirstLocation(loci);
      if (!at) return;
      tell(residueAt(at), modifiers.shift);
    });
  }

  picture(): Promise<string> {
    return this.plugin.helpers.viewportScreenshot!.getImageDataUri();
  }

  whole(): void {
    this.plugin.managers.camera.reset();
  }

  close(): void {
    this.plugin.dispose();
  }
}
