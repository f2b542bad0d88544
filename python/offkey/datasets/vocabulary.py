"""The words for healthy and faulty, and the words around them, in the languages that users name their folders in.

A phrase of several words stands for each way of writing it together: ``n i o`` is also ``niO``, ``n_io`` and ``NIO``.
Capital letters, accents and forms of Unicode make no difference.
"""

from __future__ import annotations

__all__ = [
    "FAULTY",
    "FAULTY_STEMS",
    "FREE",
    "GLUED_NOT",
    "HEALTHY",
    "HINT",
    "NEUTRAL",
    "NOT",
    "TEST",
    "TRAIN",
]

HEALTHY = """
    normal, normals, norm, nominal, healthy, good, o k, okay, fine, intact, undamaged, unbroken, flawless, spotless,
    functional, pass, passed, accept, accepted, acceptable, conforming, inlier, inliers, in spec, within spec,
    in order, gesund, gesunde, gut, gute, guter, gutes, guten, gutteil, gutteile, i o, in ordnung, heil,
    einwandfrei, intakt, unauffällig, unauffaellig, unbeschädigt, unbeschaedigt, störungsfrei, stoerungsfrei,
    mängelfrei, maengelfrei, schadensfrei, funktionsfähig, ohne befund, normale, normales, normaux, sain, saine,
    sains, bon, bonne, bons, bonnes, conforme, conformes, intacte, sano, sana, sanos, bueno, buena, buenos, buenas,
    correcto, correcta, buen estado, normali, buono, buona, buoni, integro, integra, normais, bom, boa, saudável,
    normaal, goed, goede, gezond, in orde, frisk, felfri, fejlfri, feilfri, normaali, ehjä, normalny, normalna,
    normalne, sprawny, sprawna, sprawne, dobry, dobra, dobre, zdrowy, normální, dobrý, bezvadný, v pořádku, sağlam,
    saglam, sağlıklı, saglikli, iyi, arızasız, arizasiz, hatasız, hatasiz, kusursuz, норма, норм, нормальный,
    нормальная, нормальное, нормальные, исправный, исправная, исправное, исправные, исправен, исправно, годный,
    годная, годные, годен, здоровый, хороший, хорошая, хорошо, 正常, 正常品, 良品, 良, 良好, 合格, 合格品, 健全,
    ノーマル, 健康, 完好, 好, 정상, 정상품, 양호, 양품, 합격
"""

FAULTY = """
    abnormal, abnormals, abnorm, abn, anom, anomal, abnormality, abnormalities, anomaly, anomalies, anomalous,
    unhealthy, unnormal, nonnormal, ab normal, fault, faults, faulty, faulted, defect, defects, defective,
    defectives, damage, damages, damaged, broken, breakage, breakdown, bad, n g, n ok, k o, not o k, fail, fails,
    failed, failing, failure, failures, malfunction, malfunctions, malfunctioning, error, errors, erroneous, err,
    reject, rejects, rejected, scrap, outlier, outliers, sick, ill, unsound, flaw, flaws, flawed, nonconforming,
    nonconformity, out of order, out of spec, worn, worn out, crack, cracks, cracked, leak, leaks, leaky, leaking,
    leakage, unbalance, unbalanced, imbalance, imbalanced, misaligned, misalignment, loose, looseness, clogged,
    clogging, blocked, blockage, jammed, seized, cavitation, corroded, corrosion, contaminated, contamination,
    overheated, overheating, spalled, spalling, pitting, chipped, bent, degraded, degradation, deteriorated,
    deterioration, misfire, misfiring, defekt, defekte, defekter, defektes, defekten, fehler, fehlerhaft,
    fehlerhafte, fehlerhaftes, schaden, schäden, schaeden, schadhaft, beschädigt, beschaedigt, beschädigung,
    beschaedigung, kaputt, kaputte, kaputtes, schlecht, schlechte, schlechtes, schlechtteil, schlechtteile,
    anomalie, anomalien, auffällig, auffaellig, störung, stoerung, störungen, stoerungen, gestört, gestoert,
    ausschuss, ausfall, mangel, mangelhaft, mängel, maengel, krank, ungesund, n i o, verschlissen, verschleiß,
    unwucht, lagerschaden, gebrochen, bruch, undicht, leckage, anormal, anormale, anormales, anormaux, défaut,
    défauts, défectueux, défectueuse, défaillant, défaillance, panne, pannes, cassé, cassée, endommagé, endommagée,
    mauvais, mauvaise, abîmé, rebut, rebuts, anormales, anomalía, anomalías, anómalo, anómala, anómalos, fallo,
    fallos, falla, fallas, defecto, defectos, defectuoso, defectuosa, defectuosos, avería, averías, averiado,
    averiada, roto, rotos, dañado, dañada, daño, daños, malo, mala, malos, malas, mal estado, rechazado, anomalo,
    anomala, anomali, anomalia, anomalias, difetto, difetti, difettoso, difettosa, difettosi, guasto, guasta,
    guasti, rotto, rotta, danneggiato, danneggiata, cattivo, scarto, scarti, avaria, avarias, avariado, anormais,
    anômalo, defeito, defeitos, defeituoso, falha, falhas, quebrado, quebrada, danificado, danificada, ruim,
    abnormaal, afwijkend, defecte, fout, fouten, storing, kapot, slecht, slechte, beschadigd, gebrek, onormal,
    unormal, fel, felaktig, trasig, avvikande, avvik, fejl, feil, skadet, skadad, vika, viallinen, rikki,
    nienormalny, anormalny, uszkodzony, uszkodzona, uszkodzenie, wada, wadliwy, wadliwa, usterka, usterki, usterek,
    wady, awaria, awarii, zepsuty, niesprawny, niesprawna, vada, vadný, porucha, poruchy, vady, závady, chyby,
    poškozený, závada, chyba, arıza, ariza, arızalı, arizali, hatalı, hatali, bozuk, kusurlu, kötü, ненормальный,
    ненормальная, аномалия, аномалии, аномальный, аномальная, аномальные, неисправный, неисправная, неисправные,
    неисправен, неисправность, неисправности, неисправностей, дефект, дефекта, дефекты, дефектов, дефектный,
    дефектная, дефектные, брак, бракованный, поломка, сломан, сломанный, плохой, плохая, плохо, негодный, негоден,
    авария, отказ, поврежден, повреждение, поврежденный, 異常, 異常品, 異音, 不良, 不良品, 故障, 故障品, 欠陥,
    欠陥品, 不具合, 不合格, 不合格品, 破損, 損傷, 劣化, アノマリー, 异常, 异响, 缺陷, 损坏, 損壞, 坏, 壞, 破损,
    次品, 废品, 失效, 损伤, 이상, 비정상, 불량, 불량품, 고장, 결함, 파손, 손상, 불합격
"""

HINT = """
    label 0, class 0, klasse 0, classe 0, clase 0, repair, repairs, repaired, maintenance, maintained, serviced,
    overhaul, overhauled, warning, warnings, alarm, alarms, alert, critical, suspicious, suspect, suspected,
    unusual, irregular, atypical, strange, weird, unknown, unlabeled, unlabelled, unclear, doubtful, questionable,
    positive, negative, wear, aged, aging, ageing, before, after, pre, post, reparatur, repariert, wartung, warnung,
    kritisch, verdacht, verdächtig, unbekannt, vor, nach, vorher, nachher, gealtert, réparé, réparation, avant,
    après, inconnu, reparado, reparación, antes, después, desconocido, riparato, sconosciuto, ремонт, неизвестно,
    до, после, 修理, 修理前, 修理後, 要確認, 不明, 未知, 维修, 警報, 警报, 수리
"""
"""Words of a state that say neither: whoever wrote them has to say what they mean. 0 stands for any number."""

NOT = """
    not, no, non, never, without, w o, free of, free from, nicht, kein, keine, keinen, keiner, ohne, pas, pas de,
    sans, aucun, aucune, sin, ningun, ninguna, senza, nessun, nessuna, sem, não, nenhum, niet, geen, zonder, inte,
    ikke, utan, uden, uten, bez, nie, ei, ilman, не, нет, без, 非, 不, 无, 無, 没有, 沒有, 未, 비
"""
"""Before a word for healthy or faulty, they turn it round."""

FREE = "free, less, frei, freie, freier, freies, なし, 無し, 없음, 없는"
"""After a word for faulty, they turn it round."""

GLUED_NOT = ("nicht", "keine", "kein", "ohne", "sans", "not", "non", "un", "no", "не", "без")
"""Those that are written together with what follows."""

FAULTY_STEMS = (
    *(
        "abnormal",
        "anomal",
        "faulty",
        "defect",
        "defekt",
        "damage",
        "broken",
        "unhealthy",
        "malfunc",
        "fehler",
    ),
    *(
        "schaden",
        "kaputt",
        "storung",
        "stoerung",
        "defaut",
        "averia",
        "аномал",
        "дефект",
        "неисправ",
        "поврежд",
    ),
)
"""What makes a longer word a doubtful one, wherever it stands: ``abnormally``, ``lagerschadens``."""

TRAIN = "train, training"
TEST = "test, testing"

NEUTRAL = """
    sound, sounds, audio, copy, kopie, copie, copia, recording, recordings, record, records, recorded, rec, clip,
    clips, data, dataset, wav, wave, file, files, sample, samples, machine, machines, unit, units, condition,
    conditions, state, status, class, label, mic, microphone, channel, ch, part, parts, product, products, piece,
    pieces, item, items, signal, signals, operation, operating, operational, run, runs, set, idx, index, num,
    number, nr, id, the, of, with, fan, fans, pump, pumps, slider, sliders, slide rail, valve, valves, motor,
    motors, engine, engines, bearing, bearings, gearbox, gearboxes, gear, gears, press, lathe, blower, spindle,
    robot, mixer, compressor, compressors, conveyor, drone, drones, turbine, bldc, toy car, toy train, toy conveyor,
    rpm, hz, khz, db, sec, min, kw, kg, teil, teile, geräusch, geräusche, geraeusch, aufnahme, aufnahmen, zustand,
    betrieb, maschine, maschinen, pumpe, pumpen, lüfter, luefter, ventil, ventile, lager, getriebe, ton, töne, mit,
    der, die, das, son, sons, enregistrement, enregistrements, état, pompe, moteur, ventilateur, avec, de, du, des,
    le, la, les, une, sonido, sonidos, grabación, grabaciones, estado, máquina, bomba, con, del, el, los, las,
    suono, suoni, stato, macchina, звук, звуки, запись, 音, 音声, 音データ, データ, 品, 時, 状態, 機, 機械, 運転,
    動作, の, 号, 号機, 声音, 音频, 数据, 状态, 机器, 机, 运行, 样本, 소리, 음, 데이터, 상태, 기계
"""
"""Words beside which a word for healthy or faulty means what it says."""
