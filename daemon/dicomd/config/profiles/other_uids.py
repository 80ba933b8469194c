"""SOP classes that are not for storage, and service classes (PS3.6 A-1, as of 2026).

The asconfig format takes any of them wherever a UID stands, as DCMTK does.
"""

from dicomd.config.profiles.named_uid import NamedUid

OTHER_UIDS: tuple[NamedUid, ...] = (
    NamedUid("1.2.840.10008.1.1", "VerificationSOPClass", "Verification"),
    NamedUid("1.2.840.10008.1.3.10", "MediaStorageDirectoryStorage"),
    NamedUid(
        "1.2.840.10008.1.9",
        "RETIRED_BasicStudyContentNotificationSOPClass",
        "BasicStudyContentNotification",
    ),
    NamedUid(
        "1.2.840.10008.1.20.1", "StorageCommitmentPushModelSOPClass", "StorageCommitmentPushModel"
    ),
    NamedUid(
        "1.2.840.10008.1.20.2",
        "RETIRED_StorageCommitmentPullModelSOPClass",
        "StorageCommitmentPullModel",
    ),
    NamedUid("1.2.840.10008.1.40", "ProceduralEventLoggingSOPClass", "ProceduralEventLogging"),
    NamedUid(
        "1.2.840.10008.1.42",
        "SubstanceAdministrationLoggingSOPClass",
        "SubstanceAdministrationLogging",
    ),
    NamedUid("1.2.840.10008.3.1.1.1", "StandardApplicationContext", "DICOMApplicationContext"),
    NamedUid(
        "1.2.840.10008.3.1.2.1.1",
        "RETIRED_DetachedPatientManagementSOPClass",
        "DetachedPatientManagement",
    ),
    NamedUid(
        "1.2.840.10008.3.1.2.1.4",
        "RETIRED_DetachedPatientManagementMetaSOPClass",
        "DetachedPatientManagementMeta",
    ),
    NamedUid(
        "1.2.840.10008.3.1.2.2.1",
        "RETIRED_DetachedVisitManagementSOPClass",
        "DetachedVisitManagement",
    ),
    NamedUid(
        "1.2.840.10008.3.1.2.3.1",
        "RETIRED_DetachedStudyManagementSOPClass",
        "DetachedStudyManagement",
    ),
    NamedUid(
        "1.2.840.10008.3.1.2.3.2",
        "RETIRED_StudyComponentManagementSOPClass",
        "StudyComponentManagement",
    ),
    NamedUid(
        "1.2.840.10008.3.1.2.3.3",
        "ModalityPerformedProcedureStepSOPClass",
        "ModalityPerformedProcedureStep",
    ),
    NamedUid(
        "1.2.840.10008.3.1.2.3.4",
        "ModalityPerformedProcedureStepRetrieveSOPClass",
        "ModalityPerformedProcedureStepRetrieve",
    ),
    NamedUid(
        "1.2.840.10008.3.1.2.3.5",
        "ModalityPerformedProcedureStepNotificationSOPClass",
        "ModalityPerformedProcedureStepNotification",
    ),
    NamedUid(
        "1.2.840.10008.3.1.2.5.1",
        "RETIRED_DetachedResultsManagementSOPClass",
        "DetachedResultsManagement",
    ),
    NamedUid(
        "1.2.840.10008.3.1.2.5.4",
        "RETIRED_DetachedResultsManagementMetaSOPClass",
        "DetachedResultsManagementMeta",
    ),
    NamedUid(
        "1.2.840.10008.3.1.2.5.5",
        "RETIRED_DetachedStudyManagementMetaSOPClass",
        "DetachedStudyManagementMeta",
    ),
    NamedUid(
        "1.2.840.10008.3.1.2.6.1",
        "RETIRED_DetachedInterpretationManagementSOPClass",
        "DetachedInterpretationManagement",
    ),
    NamedUid("1.2.840.10008.4.2", "StorageServiceClass", "Storage"),
    NamedUid("1.2.840.10008.5.1.1.1", "BasicFilmSessionSOPClass", "BasicFilmSession"),
    NamedUid("1.2.840.10008.5.1.1.2", "BasicFilmBoxSOPClass", "BasicFilmBox"),
    NamedUid("1.2.840.10008.5.1.1.4", "BasicGrayscaleImageBoxSOPClass", "BasicGrayscaleImageBox"),
    NamedUid("1.2.840.10008.5.1.1.4.1", "BasicColorImageBoxSOPClass", "BasicColorImageBox"),
    NamedUid("1.2.840.10008.5.1.1.4.2", "RETIRED_ReferencedImageBoxSOPClass", "ReferencedImageBox"),
    NamedUid(
        "1.2.840.10008.5.1.1.9",
        "BasicGrayscalePrintManagementMetaSOPClass",
        "BasicGrayscalePrintManagementMeta",
    ),
    NamedUid(
        "1.2.840.10008.5.1.1.9.1",
        "RETIRED_ReferencedGrayscalePrintManagementMetaSOPClass",
        "ReferencedGrayscalePrintManagementMeta",
    ),
    NamedUid("1.2.840.10008.5.1.1.14", "PrintJobSOPClass", "PrintJob"),
    NamedUid("1.2.840.10008.5.1.1.15", "BasicAnnotationBoxSOPClass", "BasicAnnotationBox"),
    NamedUid("1.2.840.10008.5.1.1.16", "PrinterSOPClass", "Printer"),
    NamedUid(
        "1.2.840.10008.5.1.1.16.376",
        "PrinterConfigurationRetrievalSOPClass",
        "PrinterConfigurationRetrieval",
    ),
    NamedUid(
        "1.2.840.10008.5.1.1.18",
        "BasicColorPrintManagementMetaSOPClass",
        "BasicColorPrintManagementMeta",
    ),
    NamedUid(
        "1.2.840.10008.5.1.1.18.1",
        "RETIRED_ReferencedColorPrintManagementMetaSOPClass",
        "ReferencedColorPrintManagementMeta",
    ),
    NamedUid("1.2.840.10008.5.1.1.22", "VOILUTBoxSOPClass", "VOILUTBox"),
    NamedUid("1.2.840.10008.5.1.1.23", "PresentationLUTSOPClass", "PresentationLUT"),
    NamedUid("1.2.840.10008.5.1.1.24", "RETIRED_ImageOverlayBoxSOPClass", "ImageOverlayBox"),
    NamedUid(
        "1.2.840.10008.5.1.1.24.1",
        "RETIRED_BasicPrintImageOverlayBoxSOPClass",
        "BasicPrintImageOverlayBox",
    ),
    NamedUid(
        "1.2.840.10008.5.1.1.26", "RETIRED_PrintQueueManagementSOPClass", "PrintQueueManagement"
    ),
    NamedUid("1.2.840.10008.5.1.1.31", "RETIRED_PullPrintRequestSOPClass", "PullPrintRequest"),
    NamedUid(
        "1.2.840.10008.5.1.1.32",
        "RETIRED_PullStoredPrintManagementMetaSOPClass",
        "PullStoredPrintManagementMeta",
    ),
    NamedUid(
        "1.2.840.10008.5.1.1.33", "MediaCreationManagementSOPClass", "MediaCreationManagement"
    ),
    NamedUid("1.2.840.10008.5.1.1.40", "DisplaySystemSOPClass", "DisplaySystem"),
    NamedUid(
        "1.2.840.10008.5.1.4.1.1.200.4",
        "FINDProtocolApprovalInformationModel",
        "ProtocolApprovalInformationModelFind",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.1.1.200.5",
        "MOVEProtocolApprovalInformationModel",
        "ProtocolApprovalInformationModelMove",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.1.1.200.6",
        "GETProtocolApprovalInformationModel",
        "ProtocolApprovalInformationModelGet",
    ),
    NamedUid("1.2.840.10008.5.1.4.1.1.201.2", "FINDInventory", "InventoryFind", dcmtk="new"),
    NamedUid("1.2.840.10008.5.1.4.1.1.201.3", "MOVEInventory", "InventoryMove", dcmtk="new"),
    NamedUid("1.2.840.10008.5.1.4.1.1.201.4", "GETInventory", "InventoryGet", dcmtk="new"),
    NamedUid("1.2.840.10008.5.1.4.1.1.201.5", "InventoryCreation", dcmtk="new"),
    NamedUid("1.2.840.10008.5.1.4.1.1.201.6", "RepositoryQuery", dcmtk="new"),
    NamedUid(
        "1.2.840.10008.5.1.4.1.2.1.1",
        "FINDPatientRootQueryRetrieveInformationModel",
        "PatientRootQueryRetrieveInformationModelFind",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.1.2.1.2",
        "MOVEPatientRootQueryRetrieveInformationModel",
        "PatientRootQueryRetrieveInformationModelMove",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.1.2.1.3",
        "GETPatientRootQueryRetrieveInformationModel",
        "PatientRootQueryRetrieveInformationModelGet",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.1.2.2.1",
        "FINDStudyRootQueryRetrieveInformationModel",
        "StudyRootQueryRetrieveInformationModelFind",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.1.2.2.2",
        "MOVEStudyRootQueryRetrieveInformationModel",
        "StudyRootQueryRetrieveInformationModelMove",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.1.2.2.3",
        "GETStudyRootQueryRetrieveInformationModel",
        "StudyRootQueryRetrieveInformationModelGet",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.1.2.3.1",
        "RETIRED_FINDPatientStudyOnlyQueryRetrieveInformationModel",
        "PatientStudyOnlyQueryRetrieveInformationModelFind",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.1.2.3.2",
        "RETIRED_MOVEPatientStudyOnlyQueryRetrieveInformationModel",
        "PatientStudyOnlyQueryRetrieveInformationModelMove",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.1.2.3.3",
        "RETIRED_GETPatientStudyOnlyQueryRetrieveInformationModel",
        "PatientStudyOnlyQueryRetrieveInformationModelGet",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.20.1",
        "FINDDefinedProcedureProtocolInformationModel",
        "DefinedProcedureProtocolInformationModelFind",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.20.2",
        "MOVEDefinedProcedureProtocolInformationModel",
        "DefinedProcedureProtocolInformationModelMove",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.20.3",
        "GETDefinedProcedureProtocolInformationModel",
        "DefinedProcedureProtocolInformationModelGet",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.31",
        "FINDModalityWorklistInformationModel",
        "ModalityWorklistInformationModelFind",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.32",
        "RETIRED_GeneralPurposeWorklistManagementMetaSOPClass",
        "GeneralPurposeWorklistManagementMeta",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.32.1",
        "RETIRED_FINDGeneralPurposeWorklistInformationModel",
        "GeneralPurposeWorklistInformationModelFind",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.32.2",
        "RETIRED_GeneralPurposeScheduledProcedureStepSOPClass",
        "GeneralPurposeScheduledProcedureStep",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.32.3",
        "RETIRED_GeneralPurposePerformedProcedureStepSOPClass",
        "GeneralPurposePerformedProcedureStep",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.33",
        "InstanceAvailabilityNotificationSOPClass",
        "InstanceAvailabilityNotification",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.34.2",
        "DRAFT_RTConventionalMachineVerification",
        "RTConventionalMachineVerificationTrial",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.34.3",
        "DRAFT_RTIonMachineVerification",
        "RTIonMachineVerificationTrial",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.34.4",
        "DRAFT_UnifiedWorklistAndProcedureStepServiceClass",
        "UnifiedWorklistAndProcedureStepTrial",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.34.4.1",
        "DRAFT_UnifiedProcedureStepPushSOPClass",
        "UnifiedProcedureStepPushTrial",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.34.4.2",
        "DRAFT_UnifiedProcedureStepWatchSOPClass",
        "UnifiedProcedureStepWatchTrial",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.34.4.3",
        "DRAFT_UnifiedProcedureStepPullSOPClass",
        "UnifiedProcedureStepPullTrial",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.34.4.4",
        "DRAFT_UnifiedProcedureStepEventSOPClass",
        "UnifiedProcedureStepEventTrial",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.34.6",
        "UnifiedWorklistAndProcedureStepServiceClass",
        "UnifiedWorklistAndProcedureStep",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.34.6.1", "UnifiedProcedureStepPushSOPClass", "UnifiedProcedureStepPush"
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.34.6.2",
        "UnifiedProcedureStepWatchSOPClass",
        "UnifiedProcedureStepWatch",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.34.6.3", "UnifiedProcedureStepPullSOPClass", "UnifiedProcedureStepPull"
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.34.6.4",
        "UnifiedProcedureStepEventSOPClass",
        "UnifiedProcedureStepEvent",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.34.6.5",
        "UnifiedProcedureStepQuerySOPClass",
        "UnifiedProcedureStepQuery",
    ),
    NamedUid("1.2.840.10008.5.1.4.34.8", "RTConventionalMachineVerification"),
    NamedUid("1.2.840.10008.5.1.4.34.9", "RTIonMachineVerification"),
    NamedUid("1.2.840.10008.5.1.4.37.1", "GeneralRelevantPatientInformationQuery"),
    NamedUid("1.2.840.10008.5.1.4.37.2", "BreastImagingRelevantPatientInformationQuery"),
    NamedUid("1.2.840.10008.5.1.4.37.3", "CardiacRelevantPatientInformationQuery"),
    NamedUid(
        "1.2.840.10008.5.1.4.38.2",
        "FINDHangingProtocolInformationModel",
        "HangingProtocolInformationModelFind",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.38.3",
        "MOVEHangingProtocolInformationModel",
        "HangingProtocolInformationModelMove",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.38.4",
        "GETHangingProtocolInformationModel",
        "HangingProtocolInformationModelGet",
        dcmtk="new",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.39.2",
        "FINDColorPaletteInformationModel",
        "ColorPaletteQueryRetrieveInformationModelFind",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.39.3",
        "MOVEColorPaletteInformationModel",
        "ColorPaletteQueryRetrieveInformationModelMove",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.39.4",
        "GETColorPaletteInformationModel",
        "ColorPaletteQueryRetrieveInformationModelGet",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.41",
        "ProductCharacteristicsQuerySOPClass",
        "ProductCharacteristicsQuery",
    ),
    NamedUid("1.2.840.10008.5.1.4.42", "SubstanceApprovalQuerySOPClass", "SubstanceApprovalQuery"),
    NamedUid(
        "1.2.840.10008.5.1.4.43.2",
        "FINDGenericImplantTemplateInformationModel",
        "GenericImplantTemplateInformationModelFind",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.43.3",
        "MOVEGenericImplantTemplateInformationModel",
        "GenericImplantTemplateInformationModelMove",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.43.4",
        "GETGenericImplantTemplateInformationModel",
        "GenericImplantTemplateInformationModelGet",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.44.2",
        "FINDImplantAssemblyTemplateInformationModel",
        "ImplantAssemblyTemplateInformationModelFind",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.44.3",
        "MOVEImplantAssemblyTemplateInformationModel",
        "ImplantAssemblyTemplateInformationModelMove",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.44.4",
        "GETImplantAssemblyTemplateInformationModel",
        "ImplantAssemblyTemplateInformationModelGet",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.45.2",
        "FINDImplantTemplateGroupInformationModel",
        "ImplantTemplateGroupInformationModelFind",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.45.3",
        "MOVEImplantTemplateGroupInformationModel",
        "ImplantTemplateGroupInformationModelMove",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.45.4",
        "GETImplantTemplateGroupInformationModel",
        "ImplantTemplateGroupInformationModelGet",
    ),
    NamedUid("1.2.840.10008.7.1.1", "NativeDICOMModel"),
    NamedUid("1.2.840.10008.7.1.2", "AbstractMultiDimensionalImageModel"),
    NamedUid("1.2.840.10008.10.1", "VideoEndoscopicImageRealTimeCommunication"),
    NamedUid("1.2.840.10008.10.2", "VideoPhotographicImageRealTimeCommunication"),
    NamedUid("1.2.840.10008.10.3", "AudioWaveformRealTimeCommunication"),
    NamedUid("1.2.840.10008.10.4", "RenditionSelectionDocumentRealTimeCommunication"),
)
"""In the order of their UIDs."""
