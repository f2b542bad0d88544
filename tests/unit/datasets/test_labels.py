"""What single names say: tables of names that are healthy, faulty, undecided, or no label at all."""

import unicodedata

import pytest

from offkey.datasets.labels import fold, read_phrase

HEALTHY = """
    normal | Normal | NORMAL | normals | norm | healthy | Healthy_01 | good | GOOD | ok | OK | Ok | o.k.
    O.K | okay | fine | intact | undamaged | unbroken | flawless | nominal | passed | PASS | accepted
    inlier | inliers | in_spec | In Spec | normal2 | label_normal | normal - Copy | OK (2) | normal-003
    OK17 | ok_0001 | good (3) | normal_a | machine_a_normal | a_normal | normal_no_5 | OK no. 12
    normal_sound | healthy recordings | Normal Condition | normal-state | normal_operation
    healthyMachine | goodParts | fan_normal_444 | pump_normal_id_00_00000000 | normal_fan | normalPump3
    valve-ok-12 | healthy_m1_1400rpm | train_normal | normal_train | test_good | testing ok
    training-healthy | normal_id_00_00000001 | normal_id_B2_x
    section_00_source_train_normal_0001_strength_1_ambient | section_05_target_test_normal_0003
    no_fault | noFault | NoFault | no-faults | fault-free | faultFree | fault_free | FaultFree3
    FAULTFREE | faultless | defect-free | no defects | no_damage | undamaged_2 | not_faulty | notFaulty
    not-broken | not bad | non-defective | nondefective | without_fault | without defects | w/o fault
    free_of_defects | free from faults | no_anomaly | no anomalies | no_errors | error-free | errorfree
    never_failed | non_abnormal | not abnormal | notAbnormal | gesund | gut | Gutteile | i.O | i.O. | iO
    IO | io | i_o | in_Ordnung | inOrdnung | einwandfrei | intakt | heil | fehlerfrei | Fehlerfrei
    defektfrei | störungsfrei | stoerungsfrei | STÖRUNGSFREI | unauffällig | unbeschädigt | kein_Fehler
    keinFehler | keine Fehler | ohne_Befund | ohne Defekt | nicht_defekt | nicht kaputt | kein_Schaden
    normale | normaux | sain | bon | bonne | conforme | sans défaut | sans_defaut | sansDefaut
    pas de défaut | aucun défaut | sano | bueno | buen_estado | correcto | sin fallo | sin_fallos
    ningún fallo | no_averiado | sin avería | buono | integro | senza difetti | nessun_guasto | normais
    bom | sem_defeito | sem falhas | saudável | normaal | goed | geen_defect | zonder fout | felfri
    utan_fel | uden fejl | normalny | sprawny | bez_usterki | dobry | normální | v_pořádku | sağlam
    arızasız | kusursuz | iyi | норма | нормальный | Исправен | исправно | годные | без_дефекта
    не_сломан | хороший | 正常 | 正常音 | 正常_01 | 正常品 | 良品 | 良好 | 合格 | 異常なし | 異常_なし
    無異常 | 无故障 | 没有故障 | 無欠陥 | 正常機3号 | 健全 | 정상 | 정상_소리 | 양호 | 이상없음
    이상_없음 | 고장 없음 | 합격
"""

FAULTY = """
    abnormal | Abnormal | ABNORMAL_12 | abnormal2 | abnormals | ab-normal | abnorm | anormal | unnormal
    nonnormal | anomaly | anomalies | Anomalous | anomaly_id_01_3 | anomaly-07 | unhealthy | faulty
    Faulty01 | FAULT | faults | fault_3 | fault-A | defect | defects | defective | Defectives | damaged
    damage_02 | broken | bad | BAD3 | NG | ng | N.G. | NG01 | ng_0002 | NGpump | n_g | nok | NOK | nOK
    n.ok | not_ok | notOk | NotOK | NOTOK | not-okay | not ok | not good | notgood | no_good | KO | fail
    FAILED | failure | failures | malfunction | malfunctioning | error | errors | reject | Rejected
    scrap | outlier | outliers | worn | worn_out | wornOut | cracked | crack | leak | leakage | leaking
    imbalance | unbalanced | misaligned | misalignment | looseness | clogged | blocked | cavitation
    corroded | degraded | out_of_order | not_normal | notNormal | not-normal | non normal | not healthy
    notHealthy | non-conforming | nonconforming | not_in_spec | not_accepted | not passed | no_normal
    ungood | unfine | fan_abnormal_969 | pump_abnormal_403 | abnormal_fan | bad_bearing
    test_bad_bearing | bearingFault | faulty pump 3 | damaged_bearing | test_abnormal | abnormal-test
    train_faulty | anomaly sound | defective parts | NG_recordings
    section_02_target_test_anomaly_0007_noise | anomaly_id_01_2_normal_speed | anomaly_id_02_1 | defekt
    Defekte | DEFEKT_2 | Fehler | fehlerhaft | Schaden | Schäden | schaeden | beschädigt | beschaedigt
    kaputt | schlecht | Schlechtteile | auffällig | Störung | stoerung | gestört | Ausschuss | Mängel
    n.i.O. | n.i.O | niO | NIO | nio | nIO | n_io | nicht_iO | nicht i.O. | nichtIO | nicht in Ordnung
    nicht_ok | nicht normal | nichtNormal | unwucht | ungesund | anormale | anomalie | défaut | défauts
    defaut | Défectueux | défaillance | panne | cassé | mauvais | non conforme | pas normal | pas_bon
    rebut | anomalía | anómalo | fallo | fallos | falla | defecto | Defectuoso | avería | averiado
    roto | dañado | malo | mal_estado | no normal | no_correcto | guasto | difettoso | rotto | anomalo
    non_conforme | scarto | defeito | falha | quebrado | ruim | não normal | abnormaal | niet_goed
    defecte | kapot | storing | onormal | felaktig | trasig | inte_ok | ikke ok | uszkodzony | wadliwy
    awaria | nie_dobry | vadný | porucha | arızalı | hatalı | bozuk | kusurlu | неисправный
    неисправность | не_исправен | неисправен | дефект | дефекты | брак | поломка | аномалия | не норма
    ненормальный | 異常 | 異常音 | 異常_02 | 異音 | 不良 | 不良品 | 故障 | 欠陥 | 不具合 | 不合格 | 破損
    非正常 | 不正常 | 异常 | 异常声音 | 缺陷 | 损坏 | 비정상 | 불량 | 불량품 | 고장 | 이상 | 결함
    불합격 | ＮＧ | ＮＧ０１
"""

UNDECIDED = """
    normal_speed | run 1 normal speed | normal load | normal_load_fault | normal_to_abnormal
    ok_to_ng_transition | OK-NG | OK_KO | good_bad | before_fault | before fault | after_fault
    pre-fault | post_fault | beforeFault | 1h_before_failure | after_repair | label_1 | class 0
    Klasse-2 | before_repair | repaired | repair_3 | maintenance | abnormally_quiet | abnormally
    almost_normal | nearly_ok | barely good | very_bad | slightly_faulty | broken_large
    fault_severity_2 | fault_not_found | no_fault_found | not_no_fault | not never ok
    defect_free_fault | good_or_bad | maybe_faulty | fault? maybe | warning | alarm_12 | critical
    suspicious | suspect | unknown | unlabeled | unlabelled | positive | negative
    normal_id_00_0001_broken | normal_id_00_1_before_fault | io_module_3 | OK_Industries_pump
    bad_homburg | fine_grinder | un_normal | lack_of_faults | end of fault | normal with fault
    Lagerschadens | defektanalyse | abnormalish | nicht_ganz_ok | fast in Ordnung | vor_Schaden
    nach_Reparatur | Verdacht | avant_panne | après défaut | antes_del_fallo | 正常以外 | 修理後 | 不明
    正常から異常 | 异常之前 | OKto | OKuma | ok_n | normal_x | normal_f | n_normal
"""

NO_LABEL = """
    normandy | Normandy_3 | goodyear | Goodyear2 | badger | badge | bade | okuma | Okuma_12 | OKUMA
    NGK | NGK_3 | ngk | nginx | faultline_pump | default | defaults | Default_3 | okapi | token | nook
    broke | baden | goodwin | finest | nornir | normalized | normalised | normality | paranormal
    subnormal | failsafe | errorcode7 | scrape | leakproof | okra | press-a | line-1 | lathe | pump
    fan_03 | id_03 | north | south | 85dB | 0_dB | 2026-11-01 | 01 | 0 | 1 | run_3 | monday
    recording 7 | clip_0001 | no | not | free | frei | section_00 | ToyCar | ToyTrain | toy_train
    machine_7 | train | test | source | target | 奈良 | 改良 | 機械3号 | ポンプ | 펌프 | насос | Lüfter
    pompe_2 | motor | bomba | - | _ | ... | ☃ | 👍
"""


def names(table):
    return [name.strip() for line in table.strip().splitlines() for name in line.split(" | ") if name.strip()]


def saying(table, *, label, undecided):
    """Return the names of a table that are read in another way."""
    phrases = {name: read_phrase(name) for name in names(table)}
    return [
        name for name, phrase in phrases.items() if (phrase.label, phrase.undecided) != (label, undecided)
    ]


def test_names_that_say_healthy():
    assert saying(HEALTHY, label=0, undecided=False) == []


def test_names_that_say_faulty():
    assert saying(FAULTY, label=1, undecided=False) == []


def test_names_that_do_not_decide():
    assert saying(UNDECIDED, label=None, undecided=True) == []


def test_names_that_are_no_label():
    assert saying(NO_LABEL, label=None, undecided=False) == []


def test_the_tables_are_long():
    assert [len(names(table)) > 60 for table in (HEALTHY, FAULTY, UNDECIDED, NO_LABEL)] == [True] * 4
    assert sum(len(names(table)) for table in (HEALTHY, FAULTY, UNDECIDED, NO_LABEL)) > 600


def test_what_is_faulty_is_told_to_speak_of_a_fault():
    assert [name for name in names(FAULTY) if 1 not in read_phrase(name).mentions] == []


def test_forms_of_unicode_make_no_difference():
    wrong = [
        name
        for name in names(HEALTHY + FAULTY + UNDECIDED + NO_LABEL)
        for form in ("NFC", "NFD", "NFKC", "NFKD")
        if read_phrase(unicodedata.normalize(form, name)) != read_phrase(name)
    ]
    assert wrong == []


def test_capital_letters_and_separators_make_no_difference():
    """Except in the names of the public sets, whose form is fixed."""
    plain = [n for n in names(HEALTHY + FAULTY) if n == n.lower() and "_id_" not in n and "section" not in n]
    assert len(plain) > 250
    wrong = [
        (name, other)
        for name in plain
        for other in (name.upper(), *(name.replace("_", sep) for sep in " -."), f"  {name}_")
        if read_phrase(other).label != read_phrase(name).label
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("name", "label", "split"),
    [
        ("train", None, "train"),
        ("TEST", None, "test"),
        ("testing", None, "test"),
        ("train_normal", 0, "train"),
        ("abnormal-test", 1, "test"),
        ("train_test", None, None),
        ("test_3", None, None),
        ("ToyTrain", None, None),
        ("normal", 0, None),
    ],
)
def test_splits(name, label, split):
    assert (read_phrase(name).label, read_phrase(name).split) == (label, split)


@pytest.mark.parametrize("name", ["broken_large", "very_bad", "slightly_faulty", "fault_severity_2"])
def test_what_names_nothing_but_a_fault(name):
    assert read_phrase(name).names_fault


@pytest.mark.parametrize(
    "name", ["before_fault", "no_fault_found", "normal_load_fault", "after_repair", "normal_speed"]
)
def test_what_names_more_than_a_fault(name):
    assert not read_phrase(name).names_fault


def test_names_that_differ_by_numbers_alone_are_read_once():
    assert read_phrase("normal_speed_1") is read_phrase("normal_speed_234")


def test_fold():
    assert fold("DÉFAUT") == fold("de\u0301faut") == fold("ｄéfaut") == "defaut"
    assert fold("Straße") == "strasse"
    assert fold("불량") == fold(unicodedata.normalize("NFD", "불량")) == "불량"
