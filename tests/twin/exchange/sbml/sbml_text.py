"""Small SBML documents, written from their lists."""

NAMESPACES = {
    (1, 2): "http://www.sbml.org/sbml/level1",
    (2, 4): "http://www.sbml.org/sbml/level2/version4",
    (3, 1): "http://www.sbml.org/sbml/level3/version1/core",
    (3, 2): "http://www.sbml.org/sbml/level3/version2/core",
}
MATHML = 'xmlns="http://www.w3.org/1998/Math/MathML"'


def document(*lists: str, level: int = 3, version: int = 2, model: str = "", root: str = "") -> str:
    """A document with the given lists, each as ``"Parameters: <parameter .../>"``."""
    body = ""
    for item in lists:
        name, _, content = item.partition(":")
        body += f"<listOf{name}>{content}</listOf{name}>"
    namespace = NAMESPACES[level, version]
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<sbml xmlns="{namespace}" level="{level}" version="{version}" {root}>\n'
        f'<model id="m" {model}>\n{body}\n</model></sbml>'
    )


def maths(content: str) -> str:
    return f"<math {MATHML}>{content}</math>"


def parameter(name: str, value: float | None = None, constant: bool = True) -> str:
    given = "" if value is None else f'value="{value}"'
    return f'<parameter id="{name}" {given} constant="{str(constant).lower()}"/>'


def species(name: str, amount: float | None = 1.0, compartment: str = "C", **attributes: str) -> str:
    given = {"hasOnlySubstanceUnits": "false", "boundaryCondition": "false", "constant": "false", **attributes}
    start = "" if amount is None else f'initialAmount="{amount}"'
    rest = " ".join(f'{key}="{value}"' for key, value in given.items())
    return f'<species id="{name}" compartment="{compartment}" {start} {rest}/>'


def compartment(name: str = "C", size: float | None = 2.0, constant: bool = True) -> str:
    given = "" if size is None else f'size="{size}"'
    return f'<compartment id="{name}" spatialDimensions="3" {given} constant="{str(constant).lower()}"/>'


def reaction(name: str, reactants: str, products: str, rate: str, local: str = "") -> str:
    """A reaction; reactants and products are names separated by blanks."""

    def side(kind: str, names: str) -> str:
        references = "".join(
            f'<speciesReference species="{s}" stoichiometry="1" constant="true"/>' for s in names.split()
        )
        return f"<listOf{kind}>{references}</listOf{kind}>" if references else ""

    inside = f"<listOfLocalParameters>{local}</listOfLocalParameters>" if local else ""
    return (
        f'<reaction id="{name}" reversible="false">{side("Reactants", reactants)}{side("Products", products)}'
        f"<kineticLaw>{maths(rate)}{inside}</kineticLaw></reaction>"
    )


def with_formula(content: str, functions: str = "") -> str:
    """A document whose assignment rule for ``y`` is the given MathML; ``a`` and ``b`` are states, at first 2 and 3."""
    still = "".join(f'<rateRule variable="{state}">{maths("<cn>0</cn>")}</rateRule>' for state in "ab")
    lists = [
        f"Parameters:{parameter('a', 2, False)}{parameter('b', 3, False)}{parameter('y', constant=False)}",
        f'Rules:<assignmentRule variable="y">{maths(content)}</assignmentRule>{still}',
    ]
    return document(*([f"FunctionDefinitions:{functions}"] if functions else []), *lists)
