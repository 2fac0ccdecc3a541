"""What this package offers, by name. Nothing listed here is imported before it is asked for."""

from __future__ import annotations

from twin.library import Library

LIBRARY = Library(
    name="models",
    models={
        "ampicillin_timekill": "models.pharmacology.ampicillin_timekill:CARD",
        "cd8_crauste": "models.immune.cd8_crauste:CARD",
        "hiv_biphasic": "models.viral.hiv_biphasic:CARD",
        "hiv_protease_inhibitor": "models.viral.hiv_protease_inhibitor:CARD",
        "il13_raia": "models.signalling.il13_raia:CARD",
        "influenza_teiv": "models.viral.influenza_teiv:CARD",
        "jakstat_swameye": "models.signalling.jakstat_swameye:CARD",
        "mrna_golding": "models.expression.mrna_golding:CARD",
        "sarscov2_teiv": "models.viral.sarscov2_teiv:CARD",
        "stat5_boehm": "models.signalling.stat5_boehm:CARD",
        "theophylline": "models.pharmacology.theophylline:CARD",
        "warfarin_pkpd": "models.pharmacology.warfarin_pkpd:CARD",
    },
    datasets={
        "cd8_crauste2017": "models.measurements:CD8_CRAUSTE2017",
        "hiv_actg315": "models.measurements:HIV_ACTG315",
        "hiv_perelson1996": "models.measurements:HIV_PERELSON1996",
        "il13_raia2011": "models.measurements:IL13_RAIA2011",
        "influenza_baccam2006": "models.measurements:INFLUENZA_BACCAM2006",
        "influenza_hayden1996": "models.measurements:INFLUENZA_HAYDEN1996",
        "jakstat_swameye2003": "models.measurements:JAKSTAT_SWAMEYE2003",
        "mrna_golding2005": "models.measurements:MRNA_GOLDING2005",
        "sarscov2_woelfel2020": "models.measurements:SARSCOV2_WOELFEL2020",
        "stat5_boehm2014": "models.measurements:STAT5_BOEHM2014",
        "theophylline": "models.measurements:THEOPHYLLINE",
        "timekill_regoes2004": "models.measurements:TIMEKILL_REGOES2004",
        "warfarin_oreilly1968": "models.measurements:WARFARIN_OREILLY1968",
    },
    studies={
        "cd8_crauste2017": "models.immune.cd8_crauste_study:CD8_CRAUSTE2017",
        "hiv_actg315": "models.viral.hiv_biphasic_study:HIV_ACTG315",
        "hiv_perelson1996": "models.viral.hiv_protease_inhibitor_study:HIV_PERELSON1996",
        "il13_raia2011": "models.signalling.il13_raia_study:IL13_RAIA2011",
        "influenza_baccam2006": "models.viral.influenza_teiv_studies:INFLUENZA_BACCAM2006",
        "influenza_hayden1996": "models.viral.influenza_teiv_studies:INFLUENZA_HAYDEN1996",
        "jakstat_swameye2003": "models.signalling.jakstat_swameye_study:JAKSTAT_SWAMEYE2003",
        "mrna_golding2005": "models.expression.mrna_golding_study:MRNA_GOLDING2005",
        "sarscov2_woelfel2020": "models.viral.sarscov2_teiv_study:SARSCOV2_WOELFEL2020",
        "stat5_boehm2014": "models.signalling.stat5_boehm_study:STAT5_BOEHM2014",
        "theophylline": "models.pharmacology.theophylline_study:THEOPHYLLINE",
        "timekill_regoes2004": "models.pharmacology.ampicillin_timekill_study:TIMEKILL_REGOES2004",
        "warfarin_oreilly1968": "models.pharmacology.warfarin_study:WARFARIN_OREILLY1968",
    },
)
